"""The system's user who started the page, as a person who signs."""

from __future__ import annotations

import os
import pwd

from edge.errors import ConfigError
from edge.results.document.result import Person
from edge.text.printable import printable

_LONGEST_NAME = 120


def system_user(uid: int | None = None) -> Person:
    """Login name, and the full name if the system knows it.

    Raises:
        ConfigError: the system does not know the user.
    """
    uid = os.geteuid() if uid is None else uid
    try:
        entry = pwd.getpwuid(uid)
    except KeyError as error:
        raise ConfigError(
            f"the system has no name for user {uid}, and a signature needs one. Name people in "
            "results.yaml under review.people."
        ) from error
    # The first field of GECOS is the full name; `&` stands for the login name.
    full = entry.pw_gecos.split(",")[0].strip().replace("&", entry.pw_name.capitalize())
    return Person(printable(entry.pw_name), printable(full)[:_LONGEST_NAME] or entry.pw_name)
