"""Finds values for a card in a file of weights: training arguments and sizes of layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from converters.loading.describe.findings import Description, Finding, Findings
from converters.loading.describe.metadata import find_in_metadata
from converters.loading.file_kind.quantized import already_quantized, quantized_tensor_name
from converters.loading.pickled.plain import as_mapping
from converters.loading.sandbox.messages import ChildRequest, SourceKind
from converters.loading.weights.candidates import Candidate, find_candidates
from converters.loading.weights.file_architecture import file_architecture
from converters.loading.weights.open_weights import code_needed, is_module, refuse_useless
from converters.loading.weights.parts import read_parts
from converters.loading.weights.read import read_pickle_file, read_safetensors

# Keys under which trainings store their arguments.
_ARGUMENT_KEYS: Final = ("hyper_parameters", "args", "config", "cfg", "hparams", "meta", "opt")
# Common names of the last layer, whose outputs are the classes.
_HEADS: Final = frozenset({"classifier", "fc", "head", "linear", "logits", "last_linear"})
# Keys under which trainings store the network's name.
_NETWORK_KEYS: Final = ("architecture", "arch", "model_name", "model", "backbone", "encoder_name")


def describe_safetensors(path: Path) -> Findings:
    """The number of classes, and findings in the file's metadata."""
    tensors, notes = read_safetensors(path)
    return find_in_metadata(notes, "the file's notes").completed_by(
        _of_tensors(Candidate("", tensors))
    )


def describe_parts(kind: SourceKind, folder: Path, request: ChildRequest) -> Findings:
    """The number of classes of weights in several files.

    Raises:
        ModelError: they are not the parts of one model.
    """
    return _of_tensors(read_parts(kind, folder, request))


def describe_pickle(path: Path, request: ChildRequest) -> Description:
    """Findings beside the weights, and the number of classes.

    Raises:
        ModelError: it is damaged, quantized, or holds neither weights nor a module.
    """
    content = read_pickle_file(path, request)
    candidates = find_candidates(content.tree)
    code = code_needed(content, candidates)
    refuse_useless(content, candidates, code, request)
    quantized = quantized_tensor_name(content.names)
    if quantized:
        raise already_quantized(request.name, quantized)
    found = _of_training(content.tree)
    if code and (not candidates or is_module(content.tree, candidates)):
        return Description(SourceKind.PICKLED_MODULE, found, needs_trust=True)
    kind = SourceKind.CHECKPOINT if candidates[0].key else SourceKind.STATE_DICT
    return Description(kind, found.completed_by(_of_tensors(candidates[0])), needs_trust=bool(code))


def _of_training(tree: object) -> Findings:
    top = as_mapping(tree) or {}
    found = find_in_metadata(top, "the file")
    for key in _ARGUMENT_KEYS:
        arguments = as_mapping(top.get(key))
        if arguments is not None:
            found = found.completed_by(_of_arguments(arguments, f"{key} in the file"))
    named = file_architecture(tree, 0)
    if named is None:
        return found
    values = {"name": named.name, **named.arguments}
    return Findings(architecture=Finding(values, "the file")).completed_by(found)


def _of_arguments(arguments: Mapping[Any, Any], origin: str) -> Findings:
    name = next((n for k in _NETWORK_KEYS if isinstance(n := arguments.get(k), str)), None)
    count = arguments.get("num_classes")
    return Findings(
        # A guess, because the training does not say from which library the name is.
        architecture=Finding({"name": name}, origin, is_guess=True) if name else None,
        outputs=Finding(count, origin) if type(count) is int and count > 1 else None,
    ).completed_by(find_in_metadata(arguments, origin))


def _of_tensors(candidate: Candidate) -> Findings:
    """The number of classes, guessed from the size of the last layer."""
    layers: dict[str, Tensor] = {
        name: tensor
        for name, tensor in candidate.tensors.items()
        if name.endswith("weight") and tensor.dim() in (2, 4)
    }
    if not layers:
        return Findings()
    # Some files list tensors in alphabetical order, so look for common names first.
    heads = [name for name in layers if _HEADS.intersection(name.split("."))]
    last = (heads or list(layers))[-1]
    count = int(layers[last].shape[0])
    return Findings(outputs=Finding(count, f"the size of {last[:80]}", is_guess=True))
