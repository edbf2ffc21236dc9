"""The user that this process runs as, for messages that ask for a permission."""

from __future__ import annotations

import os
import pwd


def this_user() -> str:
    """For example `the user edge`; by its number where it has no name here."""
    number = os.geteuid()
    try:
        return f"the user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"the user {number}"


def give_permission() -> str:
    """What a person does where this user may not use a file or folder; the end of a message."""
    return f"Give {this_user()} the permission"
