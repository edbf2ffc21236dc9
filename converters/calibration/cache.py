"""Stores the result of a calibration pass, keyed by everything that it depends on."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort

from converters.calibration.calibration import Calibration
from converters.calibration.histogram import HALF_BINS, Histogram
from edge.errors import StorageError
from edge.files import atomic
from edge.files.strict_json import parse_json
from edge.preprocess import InputSpec

# Part of the key. Increase it when the meaning of the stored numbers changes.
_FORMAT: Final = 1


def cache_key(
    model: onnx.ModelProto, tensors: list[str], images_sha256: str, spec: InputSpec
) -> str:
    """SHA-256 over model, tensors, images, preprocessing, and the versions that compute them."""
    digest = hashlib.sha256(model.SerializeToString(deterministic=True))
    parts = [_FORMAT, HALF_BINS, ort.__version__, tensors, images_sha256, spec.to_dict()]
    digest.update(json.dumps(parts, sort_keys=True).encode())
    return digest.hexdigest()


def cached(folder: Path | None, key: str, compute: Callable[[], Calibration]) -> Calibration:
    """The stored calibration; if there is none, compute and store it.

    A damaged file or an unwritable folder only means that it is computed again.
    """
    if folder is None:
        return compute()
    path = folder / f"{key}.npz"
    found = _read(path)
    if found is None:
        found = compute()
        try:
            atomic.make_folder(folder)
            atomic.write_file(path, _encode(found))
        except StorageError:
            return found
    return found


def _encode(calibration: Calibration) -> bytes:
    names = list(calibration.histograms)
    histograms = list(calibration.histograms.values())
    facts = {
        "names": names,
        "predicted": list(calibration.predicted.items()),
        "image_count": calibration.image_count,
        "images_sha256": calibration.images_sha256,
    }
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        facts=np.frombuffer(json.dumps(facts).encode(), np.uint8),
        exponents=np.array([h.exponent for h in histograms]),
        extremes=np.array([(h.low, h.high) for h in histograms]),
        counts=np.array([h.counts for h in histograms]),
    )
    return stream.getvalue()


def _read(path: Path) -> Calibration | None:
    try:
        # Opened here, because numpy does not close a damaged file that it has opened itself.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            facts = parse_json(arrays["facts"].tobytes())
            rows = zip(arrays["exponents"], arrays["counts"], arrays["extremes"], strict=True)
            histograms = [
                Histogram(int(exponent), counts.astype(np.int64), float(low), float(high))
                for exponent, counts, (low, high) in rows
            ]
        return Calibration(
            dict(zip(facts["names"], histograms, strict=True)),
            {int(index): int(count) for index, count in facts["predicted"]},
            int(facts["image_count"]),
            str(facts["images_sha256"]),
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error):
        return None
