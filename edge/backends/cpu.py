"""What this machine's processor can do, as far as it decides which graph it may run."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

# Instruction sets that multiply 8-bit integers into 32 bits. Without one of them x86 adds pairs
# of products in 16 bits, which saturate, and INT8 gains little.
_INT8_INSTRUCTIONS: Final = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp")


def has_vnni() -> bool:
    """Whether products of 8-bit integers do not saturate here."""
    return bool(int8_instructions())


def int8_instructions() -> tuple[str, ...]:
    """The known instruction sets for 8-bit integers that this processor has."""
    facts = cpu_facts()
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    return tuple(name for name in _INT8_INSTRUCTIONS if name in flags)


@cache
def cpu_facts() -> dict[str, str]:
    """The first processor's entry in /proc/cpuinfo, empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return {}
    first = text.split("\n\n", maxsplit=1)[0]
    pairs = (line.split(":", maxsplit=1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
