"""Opens the contenders that `--against` names, and compares their labels with ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from edge.backends.names import ONNXRUNTIME
from edge.backends.opening import Opening
from edge.backends.select import open_session
from edge.bench.against.contender import Contender, labels_of
from edge.bench.against.labels import Agreement, Expected, agreement, why_not
from edge.bench.against.onnx_runtime import open_default, open_with_provider
from edge.bench.against.opencv import open_opencv
from edge.bench.against.openvino import open_openvino
from edge.bench.against.tensorrt import open_tensorrt
from edge.bench.against.torch_script import open_torch
from edge.bundle import Bundle
from edge.errors import BundleError, ConfigError, EdgeError, first_line
from edge.text.nearest import nearest

# Each image takes a slow contender about 20 ms.
MOST_COMPARED: Final = 256

# Compilers and converters name whole graphs in their messages.
_LONGEST: Final = 200

Open = Callable[[str, Bundle, int], Contender]
OnStep = Callable[[str], None]

# Called with the contender's name, the bundle and the threads of one inference.
CONTENDERS: Final[Mapping[str, Open]] = {
    "torch": open_torch,
    "torch-compile": open_torch,
    "torch-cuda": open_torch,
    "torch-compile-cuda": open_torch,
    "onnxruntime-default": open_default,
    "onnxruntime-openvino": open_with_provider,
    "onnxruntime-cuda": open_with_provider,
    "onnxruntime-tensorrt": open_with_provider,
    "openvino": open_openvino,
    "openvino-int8": open_openvino,
    "opencv": open_opencv,
    "tensorrt": open_tensorrt,
    "tensorrt-rtx": open_tensorrt,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one contender: the entry under `against` in the document.

    Attributes:
        ran: whether its speed may be measured.
        why_not: otherwise, in one line.
        version: of its library; None where it could not be opened.
    """

    subject: str
    ran: bool
    why_not: str | None
    version: str | None = None
    labels_compared: int = 0
    labels_equal: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """The contenders whose speed may be measured, and an entry for each that was named."""

    contenders: tuple[Contender, ...]
    entries: tuple[Entry, ...]

    def close(self) -> None:
        """Close all contenders."""
        for contender in self.contenders:
            contender.session.close()


def require_known(names: Sequence[str]) -> None:
    """Refuse an unknown contender, before anything is opened.

    Raises:
        ConfigError: it names the most similar known one, or all.
    """
    for name in names:
        if name not in CONTENDERS:
            near = nearest(name, CONTENDERS)
            hint = f"Did you mean {near}?" if near else f"Known: {', '.join(CONTENDERS)}."
            raise ConfigError(f"--against: {name!r} is no way of running a model. {hint}")


def open_contenders(
    names: Sequence[str],
    bundle: Bundle,
    images: Sequence[Path],
    *,
    threads: int = 1,
    on_step: OnStep,
) -> Opened:
    """Open contenders, and have each label images.

    One that cannot run here, or whose labels differ from those of our FP32 by more than INT8
    explains, has an entry that says so and is closed.

    Args:
        images: the images of the measurement; at most `MOST_COMPARED` are compared.
        threads: threads inside one inference.
        on_step: called with a line before each step, as some take a minute.

    Raises:
        ConfigError: a name is unknown.
        BackendError, BundleError: our own FP32 cannot run here.
    """
    require_known(names)
    on_step("labelling with our FP32 and INT8, to compare labels")
    expected, paths = _expected(bundle, images[:MOST_COMPARED])
    contenders, entries = [], []
    for name in dict.fromkeys(names):
        on_step(f"opening {name}, and comparing {len(paths)} labels")
        contender, entry = _open_compared(name, bundle, threads, expected, paths)
        entries.append(entry)
        if contender:
            contenders.append(contender)
    return Opened(tuple(contenders), tuple(entries))


def _expected(bundle: Bundle, images: Sequence[Path]) -> tuple[Expected, list[Path]]:
    """The expected labels, and the images that have one: the others would cost no time."""
    fp32 = _our_labels(bundle, "fp32", images)
    paths = [path for path, label in zip(images, fp32, strict=True) if label]
    if not paths:
        raise ConfigError("--against: none of the images can be labelled; give others.")
    labels = [label for label in fp32 if label]
    try:
        int8 = _our_labels(bundle, "int8", paths)
    except BundleError:  # it holds no INT8 graph
        int8 = list(labels)
    changed = sum(one != other for one, other in zip(labels, int8, strict=True))
    return Expected(tuple(labels), changed), paths


def _our_labels(bundle: Bundle, precision: str, images: Sequence[Path]) -> list[str | None]:
    session = open_session(bundle, backend=ONNXRUNTIME, precision=precision, opening=Opening())
    try:
        label = labels_of(bundle, session)
        return [label(path) for path in images]
    finally:
        session.close()


def _open_compared(
    name: str, bundle: Bundle, threads: int, expected: Expected, images: Sequence[Path]
) -> tuple[Contender | None, Entry]:
    try:
        contender = CONTENDERS[name](name, bundle, threads)
    except Exception as error:  # noqa: BLE001 - another library may fail in any way
        return None, Entry(name, ran=False, why_not=_one_line(error))
    try:
        found = agreement(expected, [contender.label(path) for path in images])
        reason = why_not(expected, found)
    except Exception as error:  # noqa: BLE001 - another library may fail in any way
        found, reason = Agreement(0, 0), _one_line(error)
    if reason:
        contender.session.close()
    entry = Entry(name, not reason, reason, contender.version, found.compared, found.equal)
    return (None if reason else contender), entry


def _one_line(error: Exception) -> str:
    if isinstance(error, EdgeError):
        return str(error)
    return f"{type(error).__name__}: {first_line(error)[:_LONGEST]}"
