"""Markup that cannot forget to escape: what is not `Html` already is text."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Final

_VOID: Final = frozenset({"br", "img", "meta"})

Attribute = str | float | None


class Html(str):
    """Markup that goes into a page as it is. Joined to a plain string it becomes plain again."""

    __slots__ = ()


EMPTY: Final = Html()


def tag(name: str, /, *content: str, **attributes: Attribute) -> Html:
    """An element. `class_` is class, `aria_label` is aria-label; None leaves an attribute out."""
    opening = f"<{name}{_attributes(attributes)}>"
    return Html(opening if name in _VOID else f"{opening}{join(content)}</{name}>")


def join(parts: Iterable[str], separator: str = "") -> Html:
    """Parts one after the other; those that are no `Html` are escaped."""
    return Html(separator.join(_escaped(part) for part in parts))


def name_of(text: str) -> Html:
    """A name that people or other programs gave, kept from turning the text beside it around."""
    return tag("bdi", text)


def table(caption: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> Html:
    """A table whose first column heads its rows.

    Args:
        columns: heading and CSS class (number, text or picture) of each.
    """
    head = tag("tr", *(tag("th", name, class_=kind, scope="col") for name, kind in columns))
    kinds = [kind for _, kind in columns]
    body = (tag("tr", *_cells(row, kinds)) for row in rows)
    return scrolling(
        caption,
        tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body)),
    )


def scrolling(label: str, content: Html) -> Html:
    """A wide thing that scrolls by itself on a narrow screen, by keyboard too."""
    return tag("div", content, class_="scroll", role="region", aria_label=label, tabindex=0)


def _cells(row: Sequence[str], kinds: Sequence[str]) -> Iterable[Html]:
    yield tag("th", row[0], class_=kinds[0], scope="row")
    for content, kind in zip(row[1:], kinds[1:], strict=True):
        yield tag("td", content, class_=kind)


def _escaped(part: str) -> str:
    return part if isinstance(part, Html) else html.escape(part)


def _attributes(attributes: dict[str, Attribute]) -> str:
    return "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
