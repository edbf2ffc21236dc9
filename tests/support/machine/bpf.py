"""What a seccomp filter decides about a call, computed as the kernel does it."""

from __future__ import annotations

import errno

from converters.loading.sandbox.seccomp import Instruction

ALLOWED = "allowed"
KILLED = "killed"


def decision(
    program: list[Instruction], processor: int, number: int, first_argument: int = 0
) -> str:
    """ "allowed", "killed", or the name of the error."""
    data = {0: number, 4: processor, 16: first_argument}
    loaded = position = 0
    while True:
        code, if_true, if_false, value = program[position]
        position += 1
        if code == 0x20:
            loaded = data[value]
        elif code == 0x06:
            break
        else:
            tests = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}
            position += if_true if tests[code] else if_false
    if value == 0x7FFF0000:
        return ALLOWED
    return KILLED if value == 0x80000000 else errno.errorcode[value & 0xFFFF]
