"""A number and a hash of the record that were written down outside of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

# The page and the sheet show the first twelve digits.
_FORM: Final = re.compile(r"\s*(\d{1,18})\s*:\s*([0-9A-Fa-f]{12,64})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Anchor:
    """The entry with this number had a hash that begins with these digits.

    Attributes:
        digits: 12 to 64 hexadecimal digits in lower case.
    """

    number: int
    digits: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The anchor of a text such as 17:2f6c0b1d9a77.

        Raises:
            ValueError: it is none.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(
                "no anchor; needed is NUMBER:HASH with 12 to 64 hexadecimal digits, as printed"
            )
        return cls(int(found[1]), found[2].lower())

    def fits(self, hash_: object) -> bool:
        """Whether an entry's hash is the one that was written down."""
        return isinstance(hash_, str) and hash_.startswith(self.digits)
