"""What a format is, and what it is given beside the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge.results.document.result import SlideResult
from edge.results.formats.codes import CodeMap


@dataclass(frozen=True, slots=True)
class Site:
    """Who sends: names that the receiver knows us by.

    Attributes:
        application: sending application, as in MSH-3.
        facility: sending facility, as in MSH-4.
        receiver_application: as in MSH-5.
        receiver_facility: as in MSH-6.
        device: identifier of the workstation or analyzer, such as its serial number.
    """

    application: str = "microscope-edge"
    facility: str = "LAB"
    receiver_application: str = ""
    receiver_facility: str = ""
    device: str = "workstation"


@dataclass(frozen=True, slots=True)
class Context:
    """What a format needs beside the result."""

    codes: CodeMap
    site: Site


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a result.

    Attributes:
        suffix: of its files, with the dot.
        misfit: why the format cannot carry this result, in one line without the patient's ids; None
            if it can. An id is never altered to fit.
        write: the content of one file or message, for a result without a misfit. The same result
            always gives the same bytes.
    """

    name: str
    suffix: str
    misfit: Callable[[SlideResult, Context], str | None]
    write: Callable[[SlideResult, Context], bytes]
