"""Reading errors that the image did not cause: another program holds it, or its share has errors.

An image with such an error is not rejected. It waits without limit.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from edge.system.mounts import is_on_share

# Beginnings of the causes in the journal; next_steps.py says what to do about each.
IN_USE: Final = "another program"
SHARE: Final = "the share"

# Another program holds the file: a sharing violation (EBUSY from the kernel's SMB client), a lease
# or oplock not returned yet (EAGAIN, as files are opened with O_NONBLOCK), a lock (EDEADLK,
# ENOLCK).
_IN_USE: Final = frozenset(
    {errno.EBUSY, errno.ETXTBSY, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK, errno.ENOLCK}
    | {errno.EINTR}
)
# Clients of SMB, NFS and FUSE give these when the server or the network fails, or a ticket expires.
_SHARE: Final = frozenset(
    {errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN}
    | {errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.ENETDOWN}
    | {errno.ENETRESET, errno.ENETUNREACH, errno.EPIPE, errno.ENONET, errno.ENOLINK}
    | {errno.ECOMM, errno.EREMOTEIO, errno.EPROTO, errno.ESHUTDOWN, errno.EREMCHG}
    | {errno.ENOKEY, errno.EKEYEXPIRED, errno.EKEYREVOKED, errno.EKEYREJECTED, errno.ENOBUFS}
    | {errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM}
)
# Errors that concern the file itself, its name or size, on a share too. Any other error of a share
# may be temporary: smbnetfs gives EIO, on a local disk a bad sector, for every sharing violation.
_OWN: Final = frozenset(
    {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EOVERFLOW, errno.EFBIG}
)
# This process or machine has no more descriptors or memory.
OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def transient_cause(error: OSError, folder: Path) -> str | None:
    """Why an image below a watch folder cannot be read now; None: for its own reasons."""
    if error.errno in _IN_USE:
        cause = IN_USE
    elif error.errno in _SHARE or (error.errno not in _OWN and is_on_share(folder)):
        cause = SHARE
    else:
        return None
    # The error's own text holds the image's path.
    return f"{cause} ({error.strerror})"
