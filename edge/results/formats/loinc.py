"""What is known of LOINC codes: the check digit, and what kind of quantity a code is for.

Properties and methods as in LOINC 2.78 (https://loinc.org). This material contains content from
LOINC, which is copyright Regenstrief Institute, Inc. and the LOINC Committee and is available at no
cost under the licence at https://loinc.org/license.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MANUAL: Final = "Manual count"
AUTOMATED: Final = "Automated count"
# LOINC gives panels no property.
NO_PROPERTY: Final = "-"


@dataclass(frozen=True, slots=True)
class Term:
    """What a code is for.

    Attributes:
        property: kind of quantity, such as `NFr`, a fraction of a number.
        method: empty if the code leaves it open.
    """

    property: str
    method: str = ""


# Units (UCUM) in which a value of each property may be reported. Those of a property give the same
# number: nothing is converted.
UNITS: Final = {
    "NFr": ("%",),
    "NCnc": ("10*9/L", "10*3/uL"),
    "Ratio": ("/100{WBCs}",),
    "Num": ("{#}",),
    "PrThr": ("",),
    NO_PROPERTY: ("",),
}


def _terms(kind: str, method: str, codes: str) -> dict[str, Term]:
    return dict.fromkeys(codes.split(), Term(kind, method))


# Codes that we ship, and those that are mistaken for them: a map that contradicts it is wrong.
TERMS: Final = {
    **_terms(NO_PROPERTY, "", "69738-3"),
    **_terms(NO_PROPERTY, MANUAL, "24318-8"),
    **_terms(NO_PROPERTY, AUTOMATED, "57023-4"),
    **_terms("NFr", "", "26511-6 26450-7 30180-4 26478-8 26485-3 38518-7"),
    **_terms("NFr", MANUAL, "23761-0 714-6 707-0 737-7 744-3"),
    **_terms("NFr", AUTOMATED, "770-8 713-8 706-2 736-9 5905-5 71695-1"),
    **_terms("NCnc", "", "26499-4 26449-9 26444-0 26474-7 26484-6 51584-1"),
    **_terms("NCnc", MANUAL, "753-4 712-0 705-4 732-8 743-5 772-4 778-1"),
    **_terms("NCnc", AUTOMATED, "751-8 711-2 704-7 731-0 742-7 53115-2 771-6 777-3"),
    **_terms("NCnc", "", "26515-7"),
    **_terms("NCnc", "Estimate", "49497-1"),
    **_terms("Ratio", "", "19048-8"),
    **_terms("Ratio", MANUAL, "18309-5"),
    **_terms("Ratio", AUTOMATED, "58413-6"),
    **_terms("PrThr", "", "104705-9 34165-1"),
    **_terms("PrThr", "Microscopy.light", "9317-9"),
    **_terms("Num", "", "11282-1"),
}


def is_loinc(code: str) -> bool:
    """Whether a text has the form of a LOINC code; its check digit is another matter."""
    return re.fullmatch(r"[1-9][0-9]{0,7}-[0-9]", code, re.ASCII) is not None


def check_digit(code: str) -> str:
    """The last digit that a code of this form must have (mod 10, LOINC Users' Guide)."""
    digits = [int(d) for d in reversed(code.partition("-")[0])]
    doubled = [sum(divmod(2 * d, 10)) if place % 2 == 0 else d for place, d in enumerate(digits)]
    return str(-sum(doubled) % 10)
