"""What a file of weights tells for its card: arguments of the training, sizes of the layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from converters.loading.border import Request, SourceKind
from converters.loading.pickled.plain import as_mapping
from converters.loading.weights.candidates import Candidate, find_candidates
from converters.loading.weights.file_architecture import file_architecture
from converters.loading.weights.open_weights import read_pickle_file
from converters.new_card.describe import noted
from converters.new_card.findings import Finding, Findings

# Where trainings keep their arguments.
_ARGUMENT_KEYS: Final = ("hyper_parameters", "args", "config", "cfg", "hparams", "meta", "opt")
# What they call the network.
_NETWORK_KEYS: Final = ("architecture", "arch", "model_name", "model", "backbone", "encoder_name")


def describe_safetensors(path: Path) -> Findings:
    """The number of classes, and the notes in the file's header."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
        notes = file.metadata() or {}
    return noted(notes, "the file's notes").or_else(_of_tensors(Candidate("", tensors)))


def describe_pickle(path: Path, request: Request) -> tuple[SourceKind, Findings]:
    """What stands beside the weights, and the number of classes."""
    content = read_pickle_file(path, request)
    top = as_mapping(content.tree) or {}
    candidates = find_candidates(content.tree)
    found = noted(top, "the file")
    for key in _ARGUMENT_KEYS:
        arguments = as_mapping(top.get(key))
        if arguments is not None:
            found = found.or_else(_of_arguments(arguments, f"{key} in the file"))
    named = file_architecture(content.tree, 0)
    if named is not None:
        values = {"name": named.name, **named.arguments}
        found = Findings(architecture=Finding(values, "the file")).or_else(found)
    if not candidates:
        return SourceKind.PICKLED_MODULE, found
    kind = SourceKind.CHECKPOINT if candidates[0].key else SourceKind.STATE_DICT
    return kind, found.or_else(_of_tensors(candidates[0]))


def _of_arguments(arguments: Mapping[Any, Any], origin: str) -> Findings:
    name = next((n for k in _NETWORK_KEYS if isinstance(n := arguments.get(k), str)), None)
    count = arguments.get("num_classes")
    return Findings(
        # Of which library it is the training does not say.
        architecture=Finding({"name": name}, origin, is_guess=True) if name else None,
        outputs=Finding(count, origin) if type(count) is int and count > 1 else None,
    ).or_else(noted(arguments, origin))


def _of_tensors(candidate: Candidate) -> Findings:
    """The number of classes, where the last layer is what it seems to be."""
    layers: dict[str, Tensor] = {
        name: tensor
        for name, tensor in candidate.tensors.items()
        if name.endswith("weight") and tensor.dim() in (2, 4)
    }
    if not layers:
        return Findings()
    last = list(layers)[-1]
    count = int(layers[last].shape[0])
    return Findings(outputs=Finding(count, f"the size of {last[:80]}", is_guess=True))
