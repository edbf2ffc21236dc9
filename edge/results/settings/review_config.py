"""The part of the configuration that the review page reads."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from edge.files.strict_block import Block

LOOPBACK: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8765
# A name as a browser sends it in Host, without the port.
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PERSON_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_LONGEST_NAME: Final = 120


@dataclass(frozen=True, slots=True)
class ReviewPerson:
    """A person of the site's list.

    Attributes:
        pin: hash of the PIN, as `edge-results review --make-pin` prints it.
    """

    id: str
    name: str
    pin: str


@dataclass(frozen=True, slots=True)
class ReviewConfig:
    """How the page is served, and to whom; paths are absolute.

    Attributes:
        people: who may review; empty: the system's user who started the page.
        pin_at_signing: whether the PIN is asked for at each signature, too.
        is_blind: whether a second person reads each slide without sight of the first.
        port: 0 for a free one.
        hosts: names under which browsers may ask for the page, besides its address.
        certificate: file of the TLS certificate; with `key`, or neither.
        pixel_size_um: side of an image's pixel on the slide, in micrometres; None if unknown.
        reference: folder with a folder of images for each class, to compare with.
        idle_min: after so many minutes without a key the person is asked for anew.
    """

    people: tuple[ReviewPerson, ...] = ()
    pin_at_signing: bool = True
    is_blind: bool = False
    address: str = LOOPBACK
    port: int = DEFAULT_PORT
    hosts: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    pixel_size_um: float | None = None
    reference: Path | None = None
    idle_min: float = 10.0

    @property
    def is_local(self) -> bool:
        """Whether no other machine can reach the page."""
        return ip_address(self.address).is_loopback


def read_review_config(block: Block, base: Path) -> ReviewConfig:
    """Read the block; problems are noted in it."""
    config = ReviewConfig(
        people=tuple(_person(one) for one in block.blocks("people", required=False)),
        pin_at_signing=block.boolean("pin_at_signing", default=True),
        is_blind=block.boolean("second_reader", default=False),
        address=_address(block),
        port=block.whole("port", DEFAULT_PORT, low=0, high=65535),
        hosts=block.texts("hosts", (), required=False),
        certificate=_path(block, "certificate", base),
        key=_path(block, "key", base),
        pixel_size_um=_pixel_size(block),
        reference=_path(block, "reference", base),
        idle_min=block.number("idle_min", 10.0, low=1, high=1440),
    )
    _check(config, block)
    block.close()
    return config


def _person(block: Block) -> ReviewPerson:
    id_ = block.text("id", required=True) or "?"
    if id_ != "?" and not _PERSON_ID.fullmatch(id_):
        block.note("id", f"is {id_!r}; give letters, digits and . _ @ - alone, at most 64")
    name = block.text("name", required=True) or "?"
    if len(name) > _LONGEST_NAME or not name.strip() or not name.isprintable():
        block.note("name", f"is no name of at most {_LONGEST_NAME} printable characters")
    pin = block.text("pin", required=True) or "?"
    block.close()
    return ReviewPerson(id_, name, pin)


def _address(block: Block) -> str:
    text = block.text("address", LOOPBACK) or LOOPBACK
    try:
        return str(ip_address(text))
    except ValueError:
        block.note("address", f"is {text!r}; give an IP address of this machine, such as 127.0.0.1")
        return LOOPBACK


def _pixel_size(block: Block) -> float | None:
    return block.number("pixel_size_um", 0.0, low=0.001, high=10.0) or None


def _path(block: Block, key: str, base: Path) -> Path | None:
    text = block.text(key)
    return Path(os.path.normpath(base / text)) if text else None


def _check(config: ReviewConfig, block: Block) -> None:
    """Note what does not go together."""
    ids = [person.id for person in config.people]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        block.note("people", f"has the id {twice[0]!r} twice; a signature must name one person")
    if config.is_blind and len(ids) == 1:
        block.note("second_reader", "is true and people has one person; name two or more")
    if bad := [host for host in config.hosts if not _HOST.fullmatch(host)]:
        block.note("hosts", f"has {bad[0]!r}; give names as in the browser's address, without port")
    if (config.certificate is None) != (config.key is None):
        block.note("certificate", "and key belong together; give both or none")
    if not config.is_local and not config.people:
        block.note("address", "lets other machines in; name people with PINs")
    if not config.is_local and config.certificate is None:
        block.note("address", "lets other machines in; give certificate and key")
