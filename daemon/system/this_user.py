"""The user that this process runs as, for error texts that ask for a permission."""

from __future__ import annotations

import os
import pwd


def this_user() -> str:
    """For example `the user edge`; by its number if it has no name."""
    number = os.geteuid()
    try:
        return f"the user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"the user {number}"


def give_permission() -> str:
    """The end of an error text: what to do if this user may not use a file or folder."""
    return f"Give {this_user()} the permission"
