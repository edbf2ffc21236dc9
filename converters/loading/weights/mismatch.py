"""The error message for weights that do not fit the architecture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from converters.loading.sandbox.messages import ChildRequest
from converters.loading.weights.prefixes import Match
from edge.errors import ModelError

_SHOWN: Final = 3
# Parts of names that show how the network was changed after training.
_CHANGED: Final = (
    (("_packed_params", "zero_point", "quant_state"), "was quantized: give the FP32 model"),
    (
        ("activation_post_process", "weight_fake_quant"),
        "was prepared for quantization: give the float model that this was made of",
    ),
    (("weight_mask",), "was pruned: call torch.nn.utils.prune.remove and save it again"),
    (("parametrizations.", "weight_g"), "has parametrizations: remove them and save it again"),
    (("lora_",), "holds adapters: merge them into the network and save it again"),
)


def does_not_fit(match: Match, request: ChildRequest, architecture: str) -> ModelError:
    """The error for weights that do not fit; `match` is the closest."""
    agree = len(match.state) - len(match.shapes)
    wanted = len(match.state) + len(match.missing)
    where = f" below {match.prefix!r}" if match.prefix else ""
    under = f" under {match.candidate.key!r}" if match.candidate.key else ""
    problems = " ".join(part for part in _problems(match) if part)
    return ModelError(
        f"{request.name} does not fit architecture {architecture[:150]} with {request.class_count} "
        f"classes: {agree} of its {wanted} tensors are in the file{under}{where}. {problems} "
        f"{_advice(match, request)}"
    )


def _problems(match: Match) -> tuple[str, str, str]:
    shapes = [f"{n} is {file}, not {own}" for n, (file, own) in match.shapes.items()]
    return (
        _listed("Missing key(s) in state_dict", map(_quoted, match.missing)),
        _listed("Unexpected key(s) in state_dict", map(_quoted, match.unexpected)),
        _listed("Other shapes in the file", shapes),
    )


def _listed(title: str, items: Iterable[str]) -> str:
    found = list(items)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{title}: {', '.join(found[:_SHOWN])}{more}." if found else ""


def _quoted(name: str) -> str:
    return f'"{name[:80]}"'


def _advice(match: Match, request: ChildRequest) -> str:
    for signs, advice in _CHANGED:
        if any(sign in name for sign in signs for name in match.unexpected):
            return f"The network {advice}."
    if _has_other_classes(match, request):
        outputs = {file[0] for file, _ in match.shapes.values()}
        return f"The file has {outputs.pop()} outputs and the card names {request.class_count}."
    if match.missing and all("running_" in name for name in match.missing):
        return "The batch norm statistics are missing; save model.state_dict(), not its parameters."
    if match.shapes and not match.missing and not match.unexpected:
        size = (
            ", img_size: PIXELS" if any("pos" in name for name in match.shapes) else ", KEY: VALUE"
        )
        return f"Give the arguments of the training: architecture: {{name: ...{size}}}."
    return "Name the architecture that the file was trained with."


def _has_other_classes(match: Match, request: ChildRequest) -> bool:
    """Whether only the size of the last layer differs."""
    return (
        bool(match.shapes)
        and not match.missing
        and not match.unexpected
        and all(own[0] == request.class_count for _, own in match.shapes.values())
        and len({file[0] for file, _ in match.shapes.values()}) == 1
        and all(file[1:] == own[1:] for file, own in match.shapes.values())
    )
