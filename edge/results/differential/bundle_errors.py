"""Reads from bundles how often a model took one class for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.bundle import Bundle, load_bundle
from edge.errors import BundleError, ConfigError
from edge.files.strict_json import parse_json
from edge.manifest import EVIDENCE_NAME, ROLE_ENGINE
from edge.results.differential.errors import NO_BUNDLE, ModelErrors, Table
from edge.results.document.result import CELL_CLASSES
from edge.results.reading.sidecar_cell import SidecarCell
from edge.text.counted import counted
from edge.text.printable import printable

# Of edge-evidence/1; bundles of the first versions lack it.
KEY: Final = "confusion_unidentified"


@dataclass(frozen=True, slots=True)
class BundleErrors:
    """A bundle's tables of errors.

    Attributes:
        model: name and version.
        tables: by the bundle's file that gave the labels, `model.graph` in a sidecar.
    """

    sha256: str
    model: str
    tables: Mapping[str, Table]


def read_bundle_errors(root: Path) -> BundleErrors:
    """The tables of errors of a bundle, every byte of which is checked.

    Raises:
        BundleError: the bundle or its evidence is damaged.
    """
    bundle = load_bundle(root)
    try:
        tables = _tables(bundle)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{root / EVIDENCE_NAME} is damaged ({type(error).__name__}: {error}). "
            "Convert the model again."
        ) from error
    return BundleErrors(bundle.sha256, f"{bundle.name} {bundle.version}", tables)


def errors_of_slide(cells: Sequence[SidecarCell], bundles: Sequence[BundleErrors]) -> ModelErrors:
    """What is known of the errors behind these cells' labels.

    Each cell gets the table of the graph that labelled it. A slide may have several: of INT8 and
    of FP32, where the CPU took over from a failed GPU, or of two bundles.
    """
    labelled = [cell for cell in cells if cell.probabilities]
    held = {bundle.sha256: bundle for bundle in bundles}
    missing = {reason: None for cell in labelled if (reason := _why_none(cell, held))}
    found = [cell for cell in labelled if not _why_none(cell, held)]
    graph_of = {cell.image: f"{cell.graph} of {cell.model.bundle_sha256}" for cell in found}
    tables = {
        graph_of[cell.image]: held[cell.model.bundle_sha256].tables[str(cell.graph)]
        for cell in found
    }
    sources = {_source(cell, held[cell.model.bundle_sha256]): None for cell in found}
    # Names in a sidecar are anybody's text.
    why = printable(f"none: {'; '.join(missing)}") if bundles else NO_BUNDLE
    return ModelErrors(tables, graph_of, " and ".join(sources), why)


def require_known_classes(cells: Sequence[SidecarCell]) -> None:
    """Refuse cells of a model with other classes: what it cannot see must not become 0 %.

    Raises:
        ConfigError: a model labels other classes than the eight of a differential.
    """
    models = {frozenset(c.probabilities): c for c in cells if c.probabilities}
    for classes, cell in models.items():
        unknown, missing = classes.difference(CELL_CLASSES), set(CELL_CLASSES) - classes
        if unknown or missing:
            parts = [
                f"{what} {', '.join(map(ascii, sorted(names)[:8]))}"
                for what, names in (("has", unknown), ("lacks", missing))
                if names
            ]
            raise ConfigError(
                f"the model {cell.model.name} {cell.model.version} {' and '.join(parts)}; a "
                f"differential is of {', '.join(CELL_CLASSES)}. Convert the model with these "
                "names of its classes."
            )


def _why_none(cell: SidecarCell, held: Mapping[str, BundleErrors]) -> str | None:
    model = f"{cell.model.name} {cell.model.version}"
    if cell.model.bundle_sha256 not in held:
        digest = cell.model.bundle_sha256[:12]
        return f"the bundle of {model} that labelled, {digest}..., was not given"
    if cell.graph is None:
        return "sidecars of an older version do not say which graph labelled"
    if cell.graph not in held[cell.model.bundle_sha256].tables:
        return (
            f"the bundle of {model} has no table of errors for {cell.graph}; convert the model "
            "again with labelled validation images"
        )
    return None


def _source(cell: SidecarCell, bundle: BundleErrors) -> str:
    of_class = [sum(row) for row in bundle.tables[str(cell.graph)]]
    low, high = min(of_class), max(of_class)
    each = f"{low}" if low == high else f"{low} to {high}"
    images = counted(sum(of_class), "image")
    return f"validation of {bundle.model}, {cell.graph}, on {images}, {each} of each class"


def _tables(bundle: Bundle) -> dict[str, Table]:
    evidence = _read_json(bundle, EVIDENCE_NAME)
    if evidence is None or KEY not in evidence or set(bundle.classes) != set(CELL_CLASSES):
        return {}
    order = [evidence["classes"].index(name) for name in CELL_CLASSES]
    found = {file: _table(rows, order) for file, rows in dict(evidence[KEY]["graphs"]).items()}
    # Of a plan in the bundle, the graph that it was built from.
    by_hash = {one.sha256: found[one.path] for one in bundle.artefacts if one.path in found}
    for engine in bundle.artefacts:
        record = engine.requires.get("record") if engine.role == ROLE_ENGINE else None
        graph = (_read_json(bundle, str(record)) or {}).get("graph_sha256") if record else None
        if graph in by_hash:
            found[engine.path] = by_hash[graph]
    return found


def _table(rows: Any, order: Sequence[int]) -> Table:
    """Rows and columns in the order of `CELL_CLASSES`; the last column stays.

    Raises:
        ValueError, TypeError, IndexError: it is no table of counts.
    """
    size = len(order)
    if len(rows) != size or any(len(row) != size + 1 for row in rows):
        raise ValueError(f"{KEY} has not {size} rows of {size + 1}")
    if any(type(count) is not int or count < 0 for row in rows for count in row):
        raise ValueError(f"{KEY} has a value that is no count")
    return tuple((*(rows[i][j] for j in order), rows[i][size]) for i in order)


def _read_json(bundle: Bundle, path: str) -> dict[str, Any] | None:
    if path not in {artefact.path for artefact in bundle.artefacts}:
        return None
    value = parse_json(bundle.read(path))
    return value if isinstance(value, dict) else None
