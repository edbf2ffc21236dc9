"""The tables of the audit, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.results.review.audit.agreement import Agreement, Pairs, Share
from edge.results.review.audit.readers import Readers


def agreement_json(agreement: Agreement) -> dict[str, Any]:
    """All counts, with percent and 95 % limits."""
    return {
        "people": [
            {
                "id": one.person.id,
                "name": one.person.name,
                "signatures": one.signatures,
                "again": one.again,
                "cells": one.cells,
                "corrected": one.corrected,
            }
            for _, one in sorted(agreement.signers.items())
        ],
        "replaced_signatures": agreement.replaced,
        "agreement": _pairs(agreement.all),
        "weeks": _groups("week", agreement.weeks),
        "models": _groups("bundle_sha256", agreement.models),
    }


def readers_json(readers: Readers) -> dict[str, Any]:
    """Agreement of two readers."""
    return {
        "slides": readers.slides,
        "agreed": _share(readers.agreed),
        "kappa": readers.kappa,
        "classes": [
            {"label": label, "agreed": _share(share), "became": dict(others)}
            for label, share, others in readers.classes()
        ],
    }


def _groups(key: str, groups: Mapping[str, Pairs]) -> list[dict[str, Any]]:
    return [{key: name, **_pairs(groups[name])} for name in sorted(groups)]


def _pairs(pairs: Pairs) -> dict[str, Any]:
    return {
        "slides": pairs.slides,
        "cells": pairs.cells,
        "agreed": _share(pairs.agreed),
        "unidentified": dict(pairs.unidentified),
        "classes": [
            {
                "label": one.label,
                "agreed": _share(one.agreed),
                "became": dict(one.became),
                "found": _share(one.found),
                "came_from": dict(one.came_from),
            }
            for one in pairs.classes()
        ],
    }


def _share(share: Share) -> dict[str, Any]:
    limits = share.limits
    return {
        "count": share.count,
        "total": share.total,
        "percent": share.percent,
        "interval": list(limits) if limits else None,
    }
