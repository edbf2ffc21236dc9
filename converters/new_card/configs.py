"""Reads the config.json that timm and transformers save beside the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from converters.loading.describe.findings import Finding, Findings, class_names, is_triple
from edge.files.safe_open import read_bounded
from edge.files.strict_json import parse_json

CONFIG: Final = "config.json"
_PREPROCESSOR: Final = "preprocessor_config.json"
_MOST_BYTES: Final = 4 * 1024**2
# Keys of transformers' config.json that describe the file, not the network.
_ABOUT_THE_FILE: Final = frozenset(
    {"architectures", "model_type", "transformers_version", "torch_dtype", "dtype", "id2label"}
    | {"label2id", "_name_or_path", "problem_type", "num_labels", "auto_map", "finetuning_task"}
)
# PIL's numbers for transformers' key `resample`.
_RESAMPLE: Final = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box"}


def read_configs(model: Path) -> Findings:
    """Findings in the configurations beside a model's file; empty if there are none."""
    config = _read(model.parent / CONFIG)
    if isinstance(config.get("architecture"), str):
        return _of_timm(config)
    if isinstance(config.get("model_type"), str):
        return _of_transformers(config, _read(model.parent / _PREPROCESSOR))
    return Findings()


def _read(path: Path) -> dict[str, Any]:
    try:
        values = parse_json(read_bounded(path, _MOST_BYTES, follows_links=True))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _of_timm(config: dict[str, Any]) -> Findings:
    cfg = config.get("pretrained_cfg")
    cfg = {**config, **(cfg if isinstance(cfg, dict) else {})}
    name, arguments = config.get("architecture"), config.get("model_args")
    size = cfg.get("input_size")
    height, width = _size(size[1:] if isinstance(size, list) and len(size) == 3 else None)
    return Findings(
        architecture=_found({"name": f"timm:{name}", **_options(arguments)}),
        classes=_found(class_names(cfg.get("label_names"))),
        outputs=_found(_whole(cfg.get("num_classes"))),
        height=_found(height),
        width=_found(width),
        mean=_found(_triple(cfg.get("mean"))),
        std=_found(_triple(cfg.get("std"))),
        interpolation=_found(_text(cfg.get("interpolation"))),
        crop=_found(_fraction(cfg.get("crop_pct"))),
        licence=_found(_text(cfg.get("license"))),
    )


def _options(arguments: Any) -> dict[str, Any]:
    """Arguments of the network, without those that the card has elsewhere."""
    given = arguments if isinstance(arguments, dict) else {}
    return {key: value for key, value in given.items() if key not in ("num_classes", "in_chans")}


def _of_transformers(config: dict[str, Any], images: dict[str, Any]) -> Findings:
    arguments = {k: v for k, v in config.items() if k not in _ABOUT_THE_FILE and v is not None}
    names = class_names(config.get("id2label"))
    is_named = names is not None and not all(name.startswith("LABEL_") for name in names)
    height, width = _size(images.get("crop_size") or images.get("size"))
    if height is None:
        height, width = _size(config.get("image_size"))
    found = {
        "architecture": {"name": f"transformers:{config['model_type']}", **arguments},
        "classes": names if is_named else None,
        "outputs": len(names) if names else None,
        "height": height,
        "width": width,
        "interpolation": _RESAMPLE.get(images.get("resample", -1)),
        "crop": _crop(images),
        **_normalisation(images),
    }
    return Findings(**{key: _found(value) for key, value in found.items()})


def _normalisation(images: dict[str, Any]) -> dict[str, Any]:
    if images.get("do_normalize") is False:
        return {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
    return {"mean": _triple(images.get("image_mean")), "std": _triple(images.get("image_std"))}


def _size(value: Any) -> tuple[int | None, int | None]:
    if isinstance(value, dict):
        edge = value.get("shortest_edge")
        return _whole(value.get("height", edge)), _whole(value.get("width", edge))
    if isinstance(value, list) and len(value) == 2:
        return _whole(value[0]), _whole(value[1])
    return _whole(value), _whole(value)


def _crop(images: dict[str, Any]) -> float | None:
    if isinstance(images.get("crop_pct"), float):
        return _fraction(images["crop_pct"])
    size, crop = images.get("size"), _size(images.get("crop_size"))[0]
    shortest = _whole(size.get("shortest_edge")) if isinstance(size, dict) else None
    return round(crop / shortest, 4) if crop and shortest and crop <= shortest else None


def _found(value: Any) -> Finding | None:
    return None if value is None else Finding(value, CONFIG)


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _fraction(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0.1 <= value <= 1 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _triple(value: Any) -> list[float] | None:
    return [float(v) for v in value] if is_triple(value) else None
