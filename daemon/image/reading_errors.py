"""Reading errors that are not the image's own: another program has it, or its share has trouble.

An image that cannot be read for such a reason has not failed. It waits, as one without permission
does, for as long as it takes.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from daemon.system.mounts import is_on_share

# Beginnings of the causes in the journal, which `status` shows and `advice` answers.
IN_USE: Final = "another program"
SHARE: Final = "the share"

# A file that another program holds: a sharing violation (EBUSY by the kernel's SMB client), a
# lease or an oplock that is still to be given back (EAGAIN, as the file is opened with
# O_NONBLOCK), a lock (EDEADLK, ENOLCK).
_IN_USE: Final = frozenset(
    {errno.EBUSY, errno.ETXTBSY, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK, errno.ENOLCK}
    | {errno.EINTR}
)
# What clients of SMB, NFS and FUSE file systems give where the server or the network fails, and
# where a ticket has run out.
_SHARE: Final = frozenset(
    {errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN}
    | {errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.ENETDOWN}
    | {errno.ENETRESET, errno.ENETUNREACH, errno.EPIPE, errno.ENONET, errno.ENOLINK}
    | {errno.ECOMM, errno.EREMOTEIO, errno.EPROTO, errno.ESHUTDOWN, errno.EREMCHG}
    | {errno.ENOKEY, errno.EKEYEXPIRED, errno.EKEYREVOKED, errno.EKEYREJECTED, errno.ENOBUFS}
    | {errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM}
)
# What a share, too, says of the file itself: its name or its size. For all else that passes its
# client may have any word: smbnetfs gives EIO for every sharing violation, which on a local disk
# is a bad sector.
_OWN: Final = frozenset(
    {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EOVERFLOW, errno.EFBIG}
)
# This process or machine lacks something; what was asked for has not failed.
OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def transient_cause(error: OSError, folder: Path) -> str | None:
    """What keeps an image below a watch folder from being read; None: the image itself."""
    if error.errno in _IN_USE:
        who = IN_USE
    elif error.errno in _SHARE or (error.errno not in _OWN and is_on_share(folder)):
        who = SHARE
    else:
        return None
    # The error's own text holds the image's path.
    return f"{who} ({error.strerror})"
