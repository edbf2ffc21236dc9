"""The bundle `NAME.edge/`: a manifest and the files (artefacts) whose hashes it lists.

Every byte is checked before it is used: a model with one changed byte may label patients' cells
wrongly without any error, and an engine plan is executable code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from edge.bundle_files import (
    check_listed_file,
    read_bounded_file,
    read_listed_file,
    require_not_replaceable,
    unreadable,
)
from edge.errors import BundleError, ConfigError
from edge.files.strict_json import parse_json
from edge.manifest import (
    GOLDEN_NAME,
    MANIFEST_NAME,
    MAX_JSON_BYTES,
    ROLE_ENGINE,
    ROLE_MODEL,
    SCHEMA,
    SEAL_NAME,
    Artefact,
    GoldenImage,
    read_artefacts,
    read_classes,
    read_golden,
    read_share,
    read_temperatures,
    read_text,
    require_dict,
)
from edge.preprocess import InputSpec
from edge.session import InferenceSession
from edge.trust.reference import MAX_REFERENCE_BYTES, REFERENCE_NAME

_GIVE_BUNDLE: Final = "Give a folder NAME.edge that edge-convert wrote."
# The exceptions that reading a damaged manifest raises.
_DAMAGE_ERRORS: Final = (KeyError, TypeError, ValueError, OverflowError, ConfigError)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `sha256` is the manifest's, which covers every artefact.

    `temperatures` holds by the path of a graph what its logits are divided by; a graph that it
    lacks has 1. `in_memory` holds the content of artefacts by path: the golden images, the
    reference of the laboratory, and those that `load_into_memory` added.
    """

    root: Path
    sha256: str
    name: str
    version: str
    classes: tuple[str, ...]
    input: InputSpec
    unidentified_below: float
    temperatures: Mapping[str, float]
    default_precision: str
    artefacts: tuple[Artefact, ...]
    golden: tuple[GoldenImage, ...]
    manifest: dict[str, Any] = field(repr=False)
    in_memory: Mapping[str, bytes] = field(repr=False)

    def precisions(self, backend: str) -> tuple[str, ...]:
        """The precisions that the bundle holds for a back end."""
        found = (a.precision for a in self._models() if a.requires.get("backend") == backend)
        return tuple(dict.fromkeys(precision for precision in found if precision))

    def model(self, backend: str, precision: str, *, has_vnni: bool = True) -> Artefact:
        """The model file for a back end and a precision.

        Args:
            has_vnni: whether the processor multiplies 8-bit integers without saturating. Without
                it, files that require VNNI are skipped.

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
            weakly_typed: the graph for TensorRT 8, which cannot read FP16 scales.
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

    def graph_of(self, session: InferenceSession) -> str:
        """The path of the model graph that a session runs, also where it runs an engine plan.

        For a session from outside the bundle: what the session says.

        Raises:
            BundleError: the record of the plan is missing or damaged, or the bundle does not hold
                the graph that the plan was built from.
        """
        plans = [a for a in self.artefacts if (a.role, a.path) == (ROLE_ENGINE, session.graph)]
        if not plans:
            return session.graph
        try:
            record = require_dict(parse_json(self.read(plans[0].requires["record"])))
            built_from = record["graph_sha256"]
        except (KeyError, ValueError) as error:
            raise BundleError(
                f"the record of engine {session.graph} is damaged ({type(error).__name__}: "
                f"{error}). Build the engine again: edge-convert NAME.edge --engine"
            ) from error
        for artefact in self._models():
            is_source = (artefact.sha256, artefact.precision) == (built_from, session.precision)
            if is_source and artefact.requires.get("backend") == "tensorrt":
                return artefact.path
        raise BundleError(
            f"engine {session.graph} was built from a graph that {self.root.name} does not hold. "
            "Build the engine again: edge-convert NAME.edge --engine"
        )

    def _models(self) -> list[Artefact]:
        return [artefact for artefact in self.artefacts if artefact.role == ROLE_MODEL]

    def read(self, path: str) -> bytes:
        """The bytes of an artefact, from memory or from disk; from disk they are checked again.

        Raises:
            BundleError: the file is missing or not the one that was converted.
        """
        if path in self.in_memory:
            return self.in_memory[path]
        for artefact in self.artefacts:
            if artefact.path == path:
                return read_listed_file(self.root, path, artefact.bytes, artefact.sha256)
        raise BundleError(f"{self.root.name} lists no file {path}. Convert the model again.")

    def load_into_memory(self, paths: Iterable[str]) -> Bundle:
        """A copy of this bundle that reads these artefacts from memory, not from the folder.

        Raises:
            BundleError: as `read`.
        """
        added = {path: self.read(path) for path in paths}
        return replace(self, in_memory={**self.in_memory, **added})

    def is_still_there(self) -> bool:
        """Whether its folder still holds this very bundle, complete and unchanged."""
        try:
            return load_bundle(self.root).sha256 == self.sha256
        except BundleError:
            return False


def _require_manifest(root: Path) -> None:
    try:
        (root / MANIFEST_NAME).lstat()
    except (FileNotFoundError, NotADirectoryError) as error:
        is_there = os.path.lexists(root)
        what = f"is no bundle: there is no {MANIFEST_NAME} in it" if is_there else "is not there"
        raise BundleError(f"{root} {what}. {_GIVE_BUNDLE}") from error
    except OSError as error:
        raise unreadable(root, error) from error


def load_bundle(root: Path) -> Bundle:
    """Read a bundle and check every byte of it.

    Raises:
        BundleError: it is not a bundle, its schema is another one, a file is missing or changed,
            or every user may write it.
    """
    _require_manifest(root)
    require_not_replaceable(root)
    raw = read_bounded_file(root, MANIFEST_NAME, MAX_JSON_BYTES)
    _check_seal(root, raw)
    manifest = _parse(raw, root / MANIFEST_NAME)
    try:
        bundle = _from_manifest(root, raw, manifest)
    except _DAMAGE_ERRORS as error:
        raise BundleError(
            f"{root / MANIFEST_NAME} is damaged ({type(error).__name__}: {error}). "
            "Convert the model again."
        ) from error
    for artefact in bundle.artefacts:
        if artefact.path not in bundle.in_memory:
            check_listed_file(root, artefact.path, artefact.bytes, artefact.sha256)
    return bundle


def seal(manifest: bytes) -> bytes:
    """The content of `SEAL_NAME` for a manifest."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST_NAME}\n".encode()


def _check_seal(root: Path, manifest: bytes) -> None:
    if read_bounded_file(root, SEAL_NAME, MAX_JSON_BYTES) != seal(manifest):
        raise BundleError(
            f"{root / MANIFEST_NAME} is not the file that was converted: its hash is not the one "
            f"in {SEAL_NAME}. Copy the bundle again as a whole."
        )


def _parse(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        manifest = parse_json(raw)
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({error}). Convert the model again.") from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise BundleError(
            f"{path} has schema {ascii(schema)[:80]}, this version reads {SCHEMA!r}. "
            "Convert the model again with this version."
        )
    return dict(manifest)


def _from_manifest(root: Path, raw: bytes, manifest: dict[str, Any]) -> Bundle:
    artefacts = read_artefacts(manifest["artefacts"])
    classes = read_classes(manifest["classes"])
    by_path = {artefact.path: artefact for artefact in artefacts}
    golden, in_memory = _read_golden(root, by_path, classes)
    if reference := by_path.get(REFERENCE_NAME):
        in_memory[REFERENCE_NAME] = _read_small(root, reference, MAX_REFERENCE_BYTES)
    return Bundle(
        root=root,
        sha256=hashlib.sha256(raw).hexdigest(),
        name=read_text(manifest["name"], "name"),
        version=read_text(manifest["version"], "version"),
        classes=classes,
        input=InputSpec.from_dict(manifest["input"]),
        unidentified_below=read_share(manifest["unidentified_below"], "unidentified_below"),
        # Bundles of the first versions have none.
        temperatures=read_temperatures(manifest.get("temperature", {}), artefacts),
        default_precision=_default_precision(manifest["default_precision"], artefacts),
        artefacts=artefacts,
        golden=golden,
        manifest=manifest,
        in_memory=in_memory,
    )


def _read_golden(
    root: Path, artefacts: dict[str, Artefact], classes: tuple[str, ...]
) -> tuple[tuple[GoldenImage, ...], dict[str, bytes]]:
    """The golden images, and the content of each file by its path."""

    def read(path: str) -> bytes:
        artefact = artefacts[path]
        return read_listed_file(root, path, artefact.bytes, artefact.sha256)

    content = _read_small(root, artefacts[GOLDEN_NAME], MAX_JSON_BYTES)
    golden = read_golden(parse_json(content), classes)
    return golden, {image.path: read(image.path) for image in golden}


def _read_small(root: Path, artefact: Artefact, most_bytes: int) -> bytes:
    if artefact.bytes > most_bytes:
        raise ValueError(f"{artefact.path} has more than {most_bytes} bytes")
    return read_listed_file(root, artefact.path, artefact.bytes, artefact.sha256)


def _default_precision(value: Any, artefacts: tuple[Artefact, ...]) -> str:
    if value not in {a.precision for a in artefacts if a.role == ROLE_MODEL}:
        raise ValueError(f"default_precision {value!r} is no model of this bundle")
    return str(value)
