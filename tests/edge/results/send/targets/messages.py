"""Two messages to send over MLLP."""

from __future__ import annotations


def message(id_: str, *, application: str = "") -> bytes:
    header = f"MSH|^~\\&|EDGE|LAB|LIS|LAB|20261127101500+0100||ORU^R01|{id_}|P|2.5.1|||"
    return f"{header}|{application}\rOBR|1||S1\r".encode()


ONE, TWO = message("A1"), message("B2")
