"""Reads a hand-written YAML file: the core schema of YAML 1.2, without anchors and tags.

Full YAML has traps: aliases that expand without end, tags that create objects, `60:00` that means
3600, impossible dates. Cards and configurations need only texts, numbers, booleans, lists and
mappings, so everything else is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from edge.errors import ConfigError
from edge.files.safe_open import TooLargeError, read_bounded

# A configuration of a hundred watch folders has 20 kB. The parser needs a second for this limit.
MOST_BYTES: Final = 256 * 1024
# Levels of nesting; no file that is read here needs more than five.
_DEEPEST: Final = 20
# PATH_MAX.
_LONGEST_TEXT: Final = 4096
# No key needs a number of more than ten digits.
_MOST_DIGITS: Final = 18

# Booleans in YAML 1.1, texts in YAML 1.2.
_AMBIGUOUS: Final = frozenset({"y", "yes", "on", "n", "no", "off"})

_STR: Final = "tag:yaml.org,2002:str"
_NUMBERS: Final = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float"))
# The pattern of each type, and the characters that its values may begin with.
_PLAIN: Final = {
    "tag:yaml.org,2002:null": (r"|~|null|Null|NULL", ["", "~", "n", "N"]),
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    # No leading zero: 010 is ten in YAML 1.2 and eight in YAML 1.1.
    "tag:yaml.org,2002:int": (r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)", [*"-+0123456789"]),
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?",
        [*"-+.0123456789"],
    ),
}


class _Loader(yaml.SafeLoader):
    """A loader whose refusals are `MarkedYAMLError`s with the line."""

    # Replaces PyYAML's resolvers for YAML 1.1, which know dates, octal numbers and `yes`.
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refused("an alias is not read; write its value here", event)
        if event.tag not in (None, "!"):
            raise _refused("a tag is not read; leave it out", event)
        if self._depth >= _DEEPEST:
            raise _refused(f"it is nested more than {_DEEPEST} levels deep", event)
        if isinstance(event, yaml.ScalarEvent):
            _check_text(event)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - PyYAML's own
    ) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != _STR:
                raise _refused("a key is not a text; put it into quotes", key)
            if key.value in seen:
                raise _refused(f"the key {key.value[:40]!r} is given twice", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        text = str(node.value)
        if sum(map(str.isdigit, text)) > _MOST_DIGITS:
            raise _refused(f"a number has more than {_MOST_DIGITS} digits", node)
        number = float(text) if node.tag.endswith("float") else int(text)
        if not math.isfinite(number):
            raise _refused(f"{text} is too large for a number", node)
        return number


for _tag, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _first)
for _tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
    _Loader.add_constructor(_tag, _Loader.construct_number)


def read_yaml(path: Path, *, texts: Collection[str] = ()) -> Any:
    """Parse a YAML file.

    Args:
        texts: top-level keys whose values are read as text: `version: 1.10` must not become the
            number 1.1.

    Returns:
        A dict with text as keys, a list, a text, a finite number, a bool or None.

    Raises:
        ConfigError: it cannot be read, is too large or is not such YAML; the message has the line.
    """
    try:
        content = read_bounded(path, MOST_BYTES, follows_links=True)
    except TooLargeError as error:
        raise ConfigError(
            f"{path} is too large ({error.strerror}). Is it the right file?"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not a valid file name ({error}).") from error
    return _parsed(path, _decoded(path, content), texts)


def _decoded(path: Path, content: bytes) -> str:
    try:
        # utf-8-sig drops the byte order mark that some editors write.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line} is not UTF-8 text. Save it as UTF-8.") from error


def _parsed(path: Path, text: str, texts: Collection[str]) -> Any:
    try:
        loader = _Loader(text)  # checks every character
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        code = ord(error.character) if isinstance(error.character, str) else error.character
        raise ConfigError(
            f"{path}, line {number} is not valid YAML: it holds the character U+{code:04X}."
        ) from error
    try:
        root = loader.get_single_node()
        _keep_texts(root, texts)
        return None if root is None else loader.construct_document(root)
    except (ValueError, OverflowError) as error:
        # An escape such as "\UFFFFFFFF" is no character.
        raise ConfigError(
            f"{path}, line {loader.line + 1} is not valid YAML: no character has this number."
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(f"{path}{line} is not valid YAML: {problem}.") from error
    finally:
        loader.dispose()


def _keep_texts(root: yaml.Node | None, texts: Collection[str]) -> None:
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.value in texts and value.tag in _NUMBERS:
            value.tag = _STR


def _check_text(event: yaml.ScalarEvent) -> None:
    text = event.value
    if len(text) > _LONGEST_TEXT:
        raise _refused(f"a text is longer than {_LONGEST_TEXT} characters", event)
    # Only escapes can produce these. No file has such a name.
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise _refused("a text has a zero byte or half of a surrogate pair", event)
    if event.style is None and text.lower() in _AMBIGUOUS:
        raise _refused(f"{text} is unclear; give true or false, or put it into quotes", event)


def _refused(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)
