"""The bundle `NAME.edge/`: a manifest and the artefacts whose hashes it holds.

A model that changed by one byte may label patients' cells wrongly and still look healthy, and
an engine plan is executable code, so every byte is checked before it is used.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import BundleError, ConfigError
from edge.preprocess import InputSpec

SCHEMA: Final = "edge-bundle/1"
MANIFEST_NAME: Final = "manifest.json"
# The manifest's own hash, in the form that `sha256sum --check` reads.
SEAL_NAME: Final = "manifest.sha256"
GOLDEN_NAME: Final = "golden/golden.json"

# Roles of artefacts in the manifest.
ROLE_MODEL: Final = "model"
ROLE_ENGINE: Final = "engine"
ROLE_RECORD: Final = "record"
ROLE_GOLDEN: Final = "golden"
ROLE_EVIDENCE: Final = "evidence"


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file of the bundle; `precision` and `requires` say what a model file needs."""

    path: str
    role: str
    sha256: str
    bytes: int
    precision: str | None
    requires: dict[str, str]


@dataclass(frozen=True, slots=True)
class GoldenImage:
    """A golden image and the logits (classes,) that each graph gave when converted.

    `logits` are by precision; graphs for TensorRT, which round elsewhere, by `PRECISION.trt`.
    """

    path: str
    logits: dict[str, NDArray[np.float32]]

    def expected(self, backend: str, precision: str) -> NDArray[np.float32]:
        """The logits (classes,) that a session must give."""
        own = f"{precision}.trt"
        is_own = backend.startswith("tensorrt") and own in self.logits
        return self.logits[own if is_own else precision]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `sha256` is the manifest's, which covers every artefact."""

    root: Path
    sha256: str
    name: str
    version: str
    classes: tuple[str, ...]
    input: InputSpec
    unidentified_below: float
    default_precision: str
    artefacts: tuple[Artefact, ...]
    golden: tuple[GoldenImage, ...]
    manifest: dict[str, Any]

    def precisions(self, backend: str) -> tuple[str, ...]:
        """The precisions that the bundle holds for a back end."""
        found = (a.precision for a in self._models() if a.requires.get("backend") == backend)
        return tuple(dict.fromkeys(precision for precision in found if precision))

    def model(self, backend: str, precision: str, *, has_vnni: bool = True) -> Artefact:
        """The model file for a back end and a precision.

        Args:
            has_vnni: whether the processor multiplies 8-bit integers without saturating; a file
                that needs that is passed over where it does not.

        Raises:
            BundleError: the bundle holds none; the message lists what it holds.
        """
        models = self._models()
        for artefact in models:
            needs = artefact.requires
            is_runnable = has_vnni or needs.get("cpu") != "vnni"
            if (needs.get("backend"), artefact.precision) == (backend, precision) and is_runnable:
                return artefact
        held = ", ".join(f"{a.requires.get('backend')} {a.precision}" for a in models)
        raise BundleError(
            f"{self.root.name} holds no {precision} model for {backend} (it holds: {held}). "
            "Choose one of these or convert the model again."
        )

    def tensorrt_graph(self, precision: str, *, weakly_typed: bool) -> Artefact | None:
        """The ONNX graph that a TensorRT engine is built from; None where the bundle has none.

        Args:
            weakly_typed: for TensorRT 8, which reads no FP16 scales.
        """
        typing = "weak" if weakly_typed else "strong"
        for artefact in self._models():
            needs = artefact.requires
            if (needs.get("backend"), artefact.precision) == ("tensorrt", precision) and (
                needs.get("typing", typing) == typing
            ):
                return artefact
        return None

    def engines(self, library: str, precision: str) -> list[Artefact]:
        """The engine plans for a library; `requires["record"]` names the record of each."""
        return [
            artefact
            for artefact in self.artefacts
            if artefact.role == ROLE_ENGINE
            and (artefact.requires.get("backend"), artefact.precision) == (library, precision)
        ]

    def _models(self) -> list[Artefact]:
        return [artefact for artefact in self.artefacts if artefact.role == ROLE_MODEL]

    def read(self, path: str) -> bytes:
        """The bytes of an artefact, checked against its hash in the same read.

        Raises:
            BundleError: the file is missing or not the one that was converted.
        """
        for artefact in self.artefacts:
            if artefact.path == path:
                return _read_checked(self.root, artefact)
        raise BundleError(f"{self.root.name} lists no file {path}. Convert the model again.")


def load_bundle(root: Path) -> Bundle:
    """Read a bundle and check every byte of it.

    Raises:
        BundleError: not a bundle, of another schema, or a file is missing or changed.
    """
    try:
        raw = (root / MANIFEST_NAME).read_bytes()
    except OSError as error:
        raise BundleError(
            f"{root} is no bundle: {MANIFEST_NAME} cannot be read ({error.strerror}). "
            "Give a folder NAME.edge that edge-convert wrote."
        ) from error
    _check_seal(root, raw)
    manifest = _parse(raw, root / MANIFEST_NAME)
    try:
        bundle = _from_manifest(root, raw, manifest)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise BundleError(
            f"{root / MANIFEST_NAME} is damaged ({type(error).__name__}: {error}). "
            "Convert the model again."
        ) from error
    for artefact in bundle.artefacts:
        _read_checked(root, artefact)
    return bundle


def seal(manifest: bytes) -> bytes:
    """The content of `SEAL_NAME` for a manifest."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST_NAME}\n".encode()


def _check_seal(root: Path, manifest: bytes) -> None:
    try:
        found = (root / SEAL_NAME).read_bytes()
    except OSError as error:
        raise BundleError(
            f"{root / SEAL_NAME} cannot be read ({error.strerror}). Copy the bundle again as a "
            "whole."
        ) from error
    if found != seal(manifest):
        raise BundleError(
            f"{root / MANIFEST_NAME} is not the file that was converted: its hash is not the one "
            f"in {SEAL_NAME}. Copy the bundle again as a whole."
        )


def _parse(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(raw)
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({error}). Convert the model again.") from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise BundleError(
            f"{path} has schema {schema!r}, this version reads {SCHEMA!r}. "
            "Convert the model again with this version."
        )
    return dict(manifest)


def _from_manifest(root: Path, raw: bytes, manifest: dict[str, Any]) -> Bundle:
    artefacts = tuple(_artefact(entry) for entry in manifest["artefacts"])
    golden_artefact = next(a for a in artefacts if a.path == GOLDEN_NAME)
    return Bundle(
        root=root,
        sha256=hashlib.sha256(raw).hexdigest(),
        name=str(manifest["name"]),
        version=str(manifest["version"]),
        classes=tuple(str(name) for name in manifest["classes"]),
        input=InputSpec.from_dict(manifest["input"]),
        unidentified_below=float(manifest["unidentified_below"]),
        default_precision=_default_precision(manifest["default_precision"], artefacts),
        artefacts=artefacts,
        golden=tuple(_golden(entry) for entry in json.loads(_read_checked(root, golden_artefact))),
        manifest=manifest,
    )


def _default_precision(value: Any, artefacts: tuple[Artefact, ...]) -> str:
    if value not in {a.precision for a in artefacts if a.role == ROLE_MODEL}:
        raise ValueError(f"default_precision {value!r} is no model of this bundle")
    return str(value)


def _artefact(entry: dict[str, Any]) -> Artefact:
    path = PurePosixPath(entry["path"])
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"artefact path {entry['path']!r} leaves the bundle")
    return Artefact(
        path=str(path),
        role=str(entry["role"]),
        sha256=str(entry["sha256"]),
        bytes=int(entry["bytes"]),
        precision=entry.get("precision"),
        requires=dict(entry.get("requires", {})),
    )


def _golden(entry: dict[str, Any]) -> GoldenImage:
    logits = {
        precision: np.asarray(values, np.float32) for precision, values in entry["logits"].items()
    }
    return GoldenImage(str(entry["path"]), logits)


def _read_checked(root: Path, artefact: Artefact) -> bytes:
    path = root / artefact.path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}). Copy the bundle again as a whole."
        ) from error
    if hashlib.sha256(content).hexdigest() != artefact.sha256:
        raise BundleError(
            f"{path} is not the file that was converted ({len(content)} bytes, "
            f"{artefact.bytes} expected, hash differs). Copy the bundle again as a whole."
        )
    return content
