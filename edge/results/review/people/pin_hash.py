"""PINs are kept as scrypt hashes (RFC 7914): `scrypt$n$r$p$salt$hash`, both in base64."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

SHORTEST: Final = 6
LONGEST: Final = 64
# 16 MiB and about 50 ms for each guess.
_COST: Final = 2**14
_BLOCK: Final = 8
_LANES: Final = 1
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
# What a line of the configuration may ask for: no weaker than ours, and no more memory than this.
_MOST_BYTES: Final = 64 << 20
_MOST_LANES: Final = 4
_FORM: Final = re.compile(
    r"scrypt\$(?P<n>[0-9]{1,8})\$(?P<r>[0-9]{1,3})\$(?P<p>[0-9]{1,3})"
    r"\$(?P<salt>[A-Za-z0-9+/]{8,88}={0,2})\$(?P<hash>[A-Za-z0-9+/]{43}=)"
)


@dataclass(frozen=True, slots=True)
class PinHash:
    """One hash. Making and comparing one takes about 50 ms, in which other threads run."""

    cost: int
    block: int
    lanes: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, pin: str) -> PinHash:
        """Hash a new PIN.

        Raises:
            ValueError: it is too short, too long, or has a character that is not printable.
        """
        require_pin(pin)
        salt = os.urandom(_SALT_BYTES)
        digest = _digest(pin, salt, _COST, _BLOCK, _LANES)
        return cls(_COST, _BLOCK, _LANES, salt, digest)

    @classmethod
    def parse(cls, text: str) -> PinHash:
        """Read a line of the configuration.

        Raises:
            ValueError: it is none, or it is too weak or too costly; the text never quotes it.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError("is no PIN hash")
        cost, block, lanes = (int(found[name]) for name in "nrp")
        if cost < _COST or cost & (cost - 1) or block < _BLOCK or not 1 <= lanes <= _MOST_LANES:
            raise ValueError(f"is a hash weaker than scrypt${_COST}${_BLOCK}${_LANES}, or none")
        if 128 * cost * block > _MOST_BYTES:
            raise ValueError(f"asks for more than {_MOST_BYTES >> 20} MiB")
        try:
            salt, digest = (base64.b64decode(found[name], validate=True) for name in _PARTS)
        except binascii.Error as error:
            raise ValueError("is no PIN hash: it is cut off or mistyped") from error
        if len(salt) < _SALT_BYTES:
            raise ValueError(f"has a salt of less than {_SALT_BYTES} bytes")
        return cls(cost, block, lanes, salt, digest)

    def matches(self, pin: str) -> bool:
        """Whether it is this PIN."""
        if len(pin) > LONGEST:
            return False
        found = _digest(pin, self.salt, self.cost, self.block, self.lanes)
        return hmac.compare_digest(found, self.digest)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.cost}${self.block}${self.lanes}${salt}${digest}"


_PARTS: Final = ("salt", "hash")


def require_pin(pin: str) -> None:
    """Refuse what is no PIN.

    Raises:
        ValueError: says what a PIN is.
    """
    if not SHORTEST <= len(pin) <= LONGEST or not pin.isprintable():
        raise ValueError(f"a PIN has {SHORTEST} to {LONGEST} printable characters")


def _digest(pin: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    # Two keyboards may write one letter in two ways.
    content = unicodedata.normalize("NFC", pin).encode("utf-8", "surrogatepass")
    # OpenSSL counts a few blocks more than the formula's memory.
    most = 128 * cost * block + (2 << 20)
    return hashlib.scrypt(
        content, salt=salt, n=cost, r=block, p=lanes, maxmem=most, dklen=_HASH_BYTES
    )
