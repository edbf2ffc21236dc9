"""The profile that tells OpenELIS' analyzer bridge how to read the files of `openelis`."""

from __future__ import annotations

import json
from typing import Any, Final

import edge
from edge.results.formats.codes import PANEL, PLATELET_PRESENCE, Code, CodeMap
from edge.results.formats.files.openelis import COLUMN_MAPPING
from edge.results.formats.observed import NOT_SEEN, PRESENT

_SCHEMA: Final = "https://openelis-global.org/contracts/analyzer/v1/analyzer-profile.schema.json"


def openelis_profile(codes: CodeMap) -> bytes:
    """The profile as JSON, with each code of the map; the bridge adds its own catalogue data."""
    both = (*codes.method_less.values(), *codes.manual.values())
    tests = {code.loinc: _test(code) for code in both if code.analyte != PANEL}
    profile = {
        "$schema": _SCHEMA,
        "schemaVersion": "2.0",
        "profileMeta": {
            "id": "site.microscope-edge",
            "version": edge.__version__,
            "displayName": "microscope-edge differential",
            "confidence": "LOW",
        },
        "analyzer_name": "microscope-edge differential",
        "manufacturer": "microscope-edge",
        "model": "edge-results",
        "category": "HEMATOLOGY",
        "protocol": {"name": "FILE", "format": "CSV"},
        "capabilities": {"inboundResults": True, "outboundOrders": False, "connectionTest": True},
        "supported_extensions": [".csv"],
        "column_mapping": COLUMN_MAPPING,
        "default_test_mappings": list(tests.values()),
        "configDefaults": {
            "dataFlow": "RESULTS_ONLY",
            "fileFormat": "CSV",
            "filePattern": "*.csv",
            "hasHeader": True,
            "delimiter": ",",
            "encoding": "UTF-8",
            "skipRows": 0,
        },
        # Slides of control material must not reach the watch folder.
        "controlResultRecognition": {"mode": "NONE", "affirmedNoControlResults": True},
    }
    return (json.dumps(profile, indent=2, ensure_ascii=False) + "\n").encode()


def _test(code: Code) -> dict[str, Any]:
    values: dict[str, Any] = {"result_type": "quantitative", "unit": code.unit}
    if code.analyte == PLATELET_PRESENCE:
        values = {"result_type": "qualitative", "values": [PRESENT, NOT_SEEN]}
    return {
        "test_code": code.loinc,
        "loinc": code.loinc,
        "test_name_hint": code.display,
        **values,
        "source": {"document": "microscope-edge, docs/lis.md", "section": "OpenELIS"},
    }
