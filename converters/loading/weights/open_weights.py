"""Opens a file of weights: state dict, checkpoint, safetensors or pickled module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from converters.architectures.build import build_network
from converters.loading.file_kind.quantized import already_quantized, quantized_name
from converters.loading.pickled.machine import RecordedCall
from converters.loading.pickled.plain import dangerous, other_than_data
from converters.loading.pickled.torch_file import Content
from converters.loading.sandbox.messages import ChildRequest, SourceKind
from converters.loading.weights.candidates import KNOWN_KEYS, Candidate, find_candidates, is_average
from converters.loading.weights.file_architecture import file_architecture
from converters.loading.weights.fill import fill_network
from converters.loading.weights.modules import main_module, only_module
from converters.loading.weights.parts import read_parts
from converters.loading.weights.read import read_pickle_file, read_safetensors
from edge.errors import ModelError

_MOST_NAMES: Final = 5
# Advice for objects of some libraries, by the beginning of their names.
_LIBRARIES: Final = {
    "ultralytics.": "It is a model of ultralytics: export it with yolo export format=onnx.",
    "fastai.": "It is an exported Learner of fastai: save learn.model.state_dict().",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A network with its weights, and the choices made when reading the file."""

    kind: SourceKind
    module: nn.Module
    facts: dict[str, Any]


def open_safetensors(path: Path, request: ChildRequest) -> Opened:
    """Load a safetensors file into the card's architecture.

    Raises:
        ModelError: they do not fit.
        ConfigError: the card names no architecture that can be built.
    """
    tensors, _ = read_safetensors(path)
    return _filled([Candidate("", tensors)], None, request, SourceKind.SAFETENSORS)


def open_parts(kind: SourceKind, folder: Path, request: ChildRequest) -> Opened:
    """Load all parts in the child's folder into the card's architecture.

    Raises:
        ModelError: they are not the parts of one model, or do not fit.
        ConfigError: the card names no architecture that can be built.
    """
    return _filled([read_parts(kind, folder, request)], None, request, kind)


def open_pickle(path: Path, request: ChildRequest) -> Opened:
    """Open a file of torch.save; its code runs only if the request trusts it.

    Raises:
        ModelError: damaged, without weights, not fitting, quantized, or it needs its own code.
        ConfigError: the card names no architecture that can be built.
    """
    content = read_pickle_file(path, request)
    candidates = find_candidates(content.tree)
    code = code_needed(content, candidates)
    refuse_useless(content, candidates, code, request)
    if code:
        return _trusted(path, request, code, _advice(content.names))
    try:
        opened = _filled(candidates, content.tree, request, SourceKind.STATE_DICT)
    except ModelError as error:
        # The name alone is no proof: the file may also have float weights, which would have fit.
        sign = quantized_name(content.names)
        raise already_quantized(request.name, sign) if sign else error from error
    not_run = other_than_data(content.names)[:_MOST_NAMES]
    return Opened(
        opened.kind, opened.module, opened.facts | ({"not_run": not_run} if not_run else {})
    )


def refuse_useless(
    content: Content, candidates: Sequence[Candidate], code: Sequence[str], request: ChildRequest
) -> None:
    """Refuse a file that cannot be converted with any card.

    Args:
        code: from `code_needed`.

    Raises:
        ModelError: no weights and no module, or a quantized module.
    """
    sign = quantized_name(content.names)
    if sign and (code or not candidates):
        raise already_quantized(request.name, sign)
    if not code and not candidates:
        raise no_weights(content.tree, request)


def code_needed(content: Content, candidates: Sequence[Candidate]) -> list[str]:
    """The names of code that the file needs, or that no file of weights should name.

    Empty if its weights can be read without running code.
    """
    code = dangerous(content.names)
    if not code and (not candidates or is_module(content.tree, candidates)):
        code = other_than_data(content.names)
    return code


def is_module(tree: object, candidates: Sequence[Candidate]) -> bool:
    """Whether the weights are in a pickled module, and the candidates are other tensors."""
    values = [tree, *(tree.get(key) for key in KNOWN_KEYS if isinstance(tree, dict))]
    modules = [v for v in values if isinstance(v, RecordedCall) and "_modules" in (_state(v) or {})]
    return bool(modules) and not any(c.key.split(".")[-1] in KNOWN_KEYS for c in candidates)


def _state(made: RecordedCall) -> dict[Any, Any] | None:
    return made.state if isinstance(made.state, dict) else None


def _trusted(path: Path, request: ChildRequest, names: list[str], advice: str) -> Opened:
    """Load a file with its own code, if it is trusted."""
    shown = names[:_MOST_NAMES]
    if not request.trusted:
        raise ModelError(
            f"{request.name} is a pickled Python object and would run its own code when loaded "
            f"(it names {', '.join(shown)}); a file of tensors alone is needed. {advice} Save it "
            "with torch.save(model.state_dict(), FILE), or if you know who made it give "
            f"--trust-pickle sha256:{request.sha256}"
        )
    loaded = torch.load(path, map_location="cpu", weights_only=False)
    facts = {"trusted_pickle": True, "names_run": shown}
    key, module = main_module(loaded)
    candidates = find_candidates(loaded) if module is None else []
    if module is None and not candidates:
        key, module = only_module(loaded, request)
    if module is not None:
        where = {"key": key, "ema": is_average(key)} if key else {}
        return Opened(SourceKind.PICKLED_MODULE, module, where | facts)
    if not candidates:
        raise no_weights(loaded, request)
    opened = _filled(candidates, loaded, request, SourceKind.STATE_DICT)
    return Opened(opened.kind, opened.module, opened.facts | facts)


def _advice(names: Iterable[str]) -> str:
    """Advice for an object of a known library; empty for others."""
    found = (a for name in names for sign, a in _LIBRARIES.items() if name.startswith(sign))
    return next(found, "")


def _filled(
    candidates: Sequence[Candidate], tree: object, request: ChildRequest, kind: SourceKind
) -> Opened:
    named = file_architecture(tree, request.class_count) if request.architecture is None else None
    architecture = request.architecture or named
    network = build_network(architecture, request.class_count)
    filled = fill_network(candidates, network, request, str(architecture))
    found = SourceKind.CHECKPOINT if filled.key else kind
    facts = filled.facts | ({"architecture": str(named)} if named else {})
    return Opened(found, filled.network, facts)


def no_weights(loaded: object, request: ChildRequest) -> ModelError:
    """The error for a file without named tensors."""
    if isinstance(loaded, dict):
        found = ", ".join(str(key)[:30] for key in list(loaded)[:8]) or "nothing"
        what = f"is a dictionary of {found}; no tensors under names were found in it"
    elif isinstance(loaded, list | tuple) and loaded:
        kinds = ", ".join(sorted({type(entry).__name__ for entry in loaded})[:4])
        what = f"holds a {type(loaded).__name__} of {len(loaded)} ({kinds}), without a state dict"
    else:
        what = f"holds {type(loaded).__name__}, not a state dict of tensors"
    return ModelError(f"{request.name} {what}. Save it with torch.save(model.state_dict(), FILE).")
