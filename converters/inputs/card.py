"""The model card `model.yaml`: facts that the service needs and a model file does not contain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from converters.architectures.name import Architecture, parse_architecture
from converters.inputs.class_names import caseless, normal
from converters.model_files.shards import card_of
from edge.errors import ConfigError
from edge.files.known_keys import require_known_keys
from edge.files.yaml_file import read_yaml
from edge.preprocess import InputSpec

# Instead of a folder: cells drawn by edge.demo, for models that were trained on such cells too.
DRAWN: Final = "drawn"
# Instead of a value that the user must enter, in a card from `edge-convert --new-card`.
FILL_IN: Final = "FILL IN"

_REQUIRED: Final = ("name", "version", "classes", "input", "unidentified_below")
# Read as text, so that `version: 1.10` and `name: 007` do not become numbers.
_TEXTS: Final = frozenset({"name", "version", "licence", "source", "calibration", "validation"})
_OPTIONAL: Final = ("architecture", "calibration", "validation", "licence", "source")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The card's content. `calibration` and `validation` are a folder, `drawn` or None."""

    name: str
    version: str
    classes: tuple[str, ...]
    input: InputSpec
    unidentified_below: float
    architecture: Architecture | None
    calibration: Path | str | None
    validation: Path | str | None
    licence: str | None
    source: str | None


def find_card(model: Path) -> Path:
    """The card beside a model file: `model.pt` has `model.yaml`.

    Raises:
        ConfigError: there is none.
    """
    card = card_of(model)
    if not card.is_file():
        raise ConfigError(
            f"{model.name} has no model card {card.name} beside it, and its classes, input size "
            "and normalisation are not in the file. Give --card FILE, or write one with "
            f"edge-convert --new-card {model}."
        )
    return card


def read_card(path: Path) -> ModelCard:
    """Read and check a card; its relative paths start at the card's folder.

    Raises:
        ConfigError: unreadable, a key missing or unknown, or a value out of range.
    """
    values = _parse(path)
    require_known_keys(path.name, values, (*_REQUIRED, *_OPTIONAL))
    unfilled = list(dict.fromkeys(_unfilled("", values)))
    if unfilled:
        raise ConfigError(
            f"{path.name} still says {FILL_IN} at {', '.join(unfilled)}; replace it by the value."
        )
    missing = [key for key in _REQUIRED if key not in values]
    if missing:
        raise ConfigError(f"{path.name} has no {', '.join(missing)}; add it to the card.")
    try:
        return _from_values(values, path.parent)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error


def _parse(path: Path) -> dict[str, Any]:
    values = read_yaml(path, texts=_TEXTS)
    if not isinstance(values, dict):
        raise ConfigError(f"{path} is not a model card; it needs {', '.join(_REQUIRED)}.")
    return values


def _unfilled(key: str, value: Any) -> Iterator[str]:
    """The keys that still have the value FILL_IN."""
    if isinstance(value, dict):
        for inner, content in value.items():
            yield from _unfilled(f"{key}.{inner}".lstrip("."), content)
    elif isinstance(value, list):
        for content in value:
            yield from _unfilled(key, content)
    elif value == FILL_IN:
        yield key


def _from_values(values: dict[str, Any], folder: Path) -> ModelCard:
    classes = _classes(values["classes"])
    return ModelCard(
        name=_name(values["name"]),
        version=_version(values["version"]),
        classes=classes,
        input=InputSpec.from_dict(values["input"]),
        unidentified_below=_fraction("unidentified_below", values["unidentified_below"]),
        architecture=parse_architecture(values.get("architecture"), len(classes)),
        calibration=image_source(_text("calibration", values), folder),
        validation=image_source(_text("validation", values), folder),
        licence=_text("licence", values),
        source=_text("source", values),
    )


def image_source(value: str | None, folder: Path) -> Path | str | None:
    """A folder, relative to `folder`; `drawn` and None are returned unchanged."""
    return value if value is None or value == DRAWN else folder / value


def _name(value: Any) -> str:
    # The bundle's folder is NAME.edge.
    if (
        not isinstance(value, str)
        or not value
        or not value.replace("-", "").replace("_", "").replace(".", "").isalnum()
    ):
        raise ConfigError(f"name is {value!r}; use letters, digits, '.', '-' and '_'.")
    return value


def _version(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f'version is {value!r}; give text, such as "1.0".')
    return value


def _classes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) < 2:
        raise ConfigError(f"classes is {value!r}; give the ordered list of at least two names.")
    if not all(isinstance(name, str) and name for name in value):
        raise ConfigError("classes holds something that is not a name; quote every name.")
    names = tuple(normal(name) for name in value)
    if len(set(names)) != len(names):
        raise ConfigError("classes holds a name twice; every class needs its own name.")
    alike: dict[str, str] = {}
    for name in names:
        other = alike.setdefault(caseless(name), name)
        if other != name:
            raise ConfigError(
                f"classes holds {other!r} and {name!r}, which differ only in the case of letters. "
                "Give them names that cannot be mistaken for each other."
            )
    return names


def _fraction(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ConfigError(f"{key} is {value!r}; give a confidence from 0 to below 1.")
    return float(value)


def _text(key: str, values: dict[str, Any]) -> str | None:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{key} is {value!r}; give text.")
    return value
