"""Sample and slide ids from an image's path, such as `{sample_id}/{slide_id}/*`."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from edge.errors import ConfigError
from edge.text.nearest import nearest
from edge.text.unicode_form import comparable

GROUPS: Final = ("sample_id", "slide_id")

_TOKEN: Final = re.compile(r"\{(?P<group>[^{}]*)\}|(?P<any_folders>\*\*)|(?P<any_name>\*)")


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A path below the watch folder: `{name}` and `*` stay within one folder, `**` does not."""

    text: str
    regex: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> PathTemplate:
        """Parse a template.

        Raises:
            ConfigError: it has an unknown id, one twice, or none, or an unmatched brace.
        """
        groups = [match["group"] for match in _TOKEN.finditer(text) if match["group"] is not None]
        unknown = [group for group in groups if group not in GROUPS]
        known = " and ".join(f"{{{group}}}" for group in GROUPS)
        if set("{}") & set(_TOKEN.sub("", text)):
            raise ConfigError(f"{text!r} has an unmatched brace; use {known}.")
        if unknown and (near := nearest(unknown[0], GROUPS)):
            raise ConfigError(
                f"{text!r} has an unknown id {{{unknown[0]}}}; did you mean {{{near}}}?"
            )
        if unknown or not groups or len(set(groups)) < len(groups):
            raise ConfigError(f"{text!r} is not a path template; use {known}, each at most once.")
        return cls(text, re.compile(_to_regex(text), re.DOTALL))

    def ids(self, path: bytes) -> tuple[str | None, str | None]:
        """Sample id and slide id of a path; None if the template does not give them."""
        # Escaped, as bytes that are not UTF-8 cannot be written to a JSON sidecar.
        match = self._match(path)
        found = match.groupdict() if match else {}
        return found.get("sample_id"), found.get("slide_id")

    def folder_of_ids(self, path: bytes) -> str | None:
        """The highest folder of a path that has all its ids; `.` for the watch folder itself.

        It holds one slide, also where the cells lie in folders of their classes below it. None if
        the template does not fit.
        """
        match = self._match(path)
        if match is None:
            return None
        end = max(match.end(group) for group in self.regex.groupindex)
        folders = match.string.split("/")[:-1]
        return "/".join(folders[: match.string.count("/", 0, end) + 1]) or "."

    def _match(self, path: bytes) -> re.Match[str] | None:
        return self.regex.fullmatch(path.decode("utf-8", "backslashreplace"))


def _to_regex(text: str) -> str:
    parts, end = [], 0
    for match in _TOKEN.finditer(text):
        parts.append(_literal_regex(text[end : match.start()]))
        parts.append(_token_regex(match))
        end = match.end()
    return "".join(parts) + _literal_regex(text[end:])


def _literal_regex(text: str) -> str:
    """A regex for text of the template, in both Unicode forms. Ids stay as the disk has them."""
    forms = ((c, unicodedata.normalize("NFD", c)) for c in comparable(text))
    return "".join(
        re.escape(c) if c == nfd else f"(?:{re.escape(c)}|{re.escape(nfd)})" for c, nfd in forms
    )


def _token_regex(match: re.Match[str]) -> str:
    if match["group"] is not None:
        return f"(?P<{match['group']}>[^/]+)"
    return ".*" if match["any_folders"] else "[^/]*"
