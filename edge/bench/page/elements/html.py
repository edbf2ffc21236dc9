"""Makes HTML elements; every text is escaped, and made printable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias
from xml.etree.ElementTree import Element, SubElement, tostring

from edge.text.printable import printable

Child: TypeAlias = Element | str


def tag(name: str, *children: Child, **attributes: str | float) -> Element:
    """An element; `class_` stands for class, and `_` inside of a name for `-`."""
    element = Element(name, {_name(key): _value(value) for key, value in attributes.items()})
    for child in children:
        if isinstance(child, Element):
            element.append(child)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + printable(child)
        else:
            element.text = (element.text or "") + printable(child)
    return element


def listed(texts: Iterable[str], class_: str) -> Element:
    """A list of lines."""
    return tag("ul", *(tag("li", text) for text in texts), class_=class_)


def whole_page(title: str, style: str, body: Iterable[Element]) -> str:
    """The document; its policy lets a browser load nothing at all."""
    head = tag("head", tag("meta", charset="utf-8"), tag("title", title))
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": policy})
    view = "width=device-width, initial-scale=1"
    SubElement(head, "meta", {"name": "viewport", "content": view})
    SubElement(head, "meta", {"name": "color-scheme", "content": "light dark"})
    # Our own text, with its line ends; HTML does not escape the content of `style`.
    SubElement(head, "style").text = style
    page = tag("html", head, tag("body", *body), lang="en")
    return f"<!doctype html>\n{tostring(page, encoding='unicode', method='html')}\n"


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return printable(value)
    return f"{value:.2f}".rstrip("0").rstrip(".")
