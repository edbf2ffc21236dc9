"""Asks for a new PIN and makes its hash for the configuration."""

from __future__ import annotations

import getpass
import sys
import warnings

from edge.errors import ConfigError
from edge.results.review.people.pin_hash import PinHash


def new_pin_line() -> str:
    """The line for a person in results.yaml.

    Raises:
        ConfigError: two different PINs, or none that can be used.
    """
    try:
        return f'pin: "{PinHash.of(_ask())}"'
    except ValueError as error:
        raise ConfigError(f"{error}. Choose another.") from error


def _ask() -> str:
    if not sys.stdin.isatty():
        # Of a program that hands it over.
        return sys.stdin.readline().rstrip("\r\n")
    try:
        with warnings.catch_warnings():
            # A terminal that would show the PIN.
            warnings.simplefilter("error", getpass.GetPassWarning)
            first, second = (getpass.getpass(text) for text in ("PIN: ", "PIN again: "))
    except (EOFError, getpass.GetPassWarning) as error:
        raise ConfigError("no PIN was typed. Type it twice on a terminal.") from error
    if first != second:
        raise ConfigError("the two PINs differ. Start again.")
    return first
