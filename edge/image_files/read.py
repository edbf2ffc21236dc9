"""Reads one exported image completely and strictly, or refuses it with a reason.

A half-copied file may decode to an image with a grey lower half and get a confident wrong label. So
a file is parsed to its end before it is decoded strictly: no holes, no missing scans or chunks. Its
size is checked from the header before memory for pixels is allocated.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from edge.errors import ConfigError, ImageError, RejectReason, TransientError
from edge.failpoints import failpoint
from edge.files.safe_open import NotRegularError, TooLargeError, open_with_status, read_open
from edge.image_files.header import ImageHeader, read_header
from edge.image_files.jpeg import corrected_jpeg, jpeg_sampling
from edge.image_files.limits import ImageLimits

# In a smaller image no cell can be recognised: the smallest platelets span 15 px of 360.
MIN_SIDE_PX: Final = 32
# Cell images have about 0.1 megapixels; decoding a larger one may need hundreds of MB.
_LARGE_PX: Final = 2_000_000
_decoding_large: Final = threading.Lock()
# Messages of libjpeg-turbo for a feature that it does not support, as opposed to damage.
_UNSUPPORTED: Final = re.compile(
    "subsampling|sampling not|not implemented|unsupported", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The bytes of one image file, and its modification time when they were read.

    `modified` is None if the time is outside the range of `datetime`.
    """

    path: Path
    content: bytes
    modified: datetime | None

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def read_image(path: Path, limits: ImageLimits | None = None) -> NDArray[np.uint8]:
    """The pixels of an image file: uint8 RGB, shape (height, width, 3).

    Raises:
        ImageError: the file can never be labelled; `reason` is its code.
        TransientError: the file is gone or the storage failed; a later attempt may succeed.
    """
    limits = limits or ImageLimits()
    return decode_image(read_file(path, limits).content, limits)


def read_named_image(path: Path) -> NDArray[np.uint8]:
    """The pixels of an image given on the command line: uint8 RGB, shape (height, width, 3).

    Raises:
        ConfigError: it cannot be used; the message names it.
    """
    return _read_named(path)[1]


def read_named_file(path: Path) -> bytes:
    """The bytes of an image given on the command line, after checking that it decodes.

    Raises:
        ConfigError: as `read_named_image`.
    """
    return _read_named(path)[0]


def _read_named(path: Path) -> tuple[bytes, NDArray[np.uint8]]:
    limits = ImageLimits()
    try:
        content = read_file(path, limits).content
        return content, decode_image(content, limits)
    except (ImageError, TransientError) as error:
        raise ConfigError(f"{path} cannot be used: {error}. Replace it or leave it out.") from error


def read_file(path: Path, limits: ImageLimits) -> ImageFile:
    """Read a regular file of at most `limits.max_bytes`.

    Raises:
        ImageError, TransientError: as `read_image`.
    """
    try:
        failpoint("image.open")
        descriptor, status = open_with_status(path, follows_links=True)
        try:
            failpoint("image.read")
            content = read_open(descriptor, status.st_size, limits.max_bytes, path)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _translate(error, path) from error
    if not content:
        raise ImageError(RejectReason.EMPTY, "the file is empty")
    return ImageFile(path, content, modified_time(status.st_mtime_ns))


def modified_time(mtime_ns: int) -> datetime | None:
    """A file's time with the local offset; None if `datetime` cannot represent it.

    File systems can hold times outside the years 1 to 9999; the file is still a valid image.
    """
    try:
        return datetime.fromtimestamp(mtime_ns / 1e9, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return None


def decode_image(content: bytes, limits: ImageLimits) -> NDArray[np.uint8]:
    """Decode JPEG or PNG bytes to uint8 RGB, shape (height, width, 3).

    The EXIF orientation is ignored, since cells have none. Transparent pixels are refused, because
    people would see another image than the network.

    Raises:
        ImageError: not an image, not complete, or beyond `limits`.
    """
    header = read_header(content)
    _check_dimensions(header, limits)
    # Only one large image at a time, to bound the memory of all workers together.
    is_large = header.height * header.width > _LARGE_PX
    with _decoding_large if is_large else nullcontext():
        pixels = _decode_jpeg(content) if header.format == "jpeg" else _decode_png(content, header)
    if pixels.shape != (header.height, header.width, 3):
        raise ImageError(
            RejectReason.CORRUPT,
            f"decoded to {pixels.shape}, the header says {header.height} x {header.width}",
        )
    return pixels


def _decode_jpeg(content: bytes) -> NDArray[np.uint8]:
    # OpenCV decodes a JPEG whose middle is missing without an error, to an image with a grey part.
    # simplejpeg (libjpeg-turbo) gives the same pixels, but can refuse on every warning. Images that
    # only OpenCV decodes, such as those with 4x2 sampling, are refused: nothing would show whether
    # their data are complete.
    try:
        return np.asarray(simplejpeg.decode_jpeg(content, colorspace="RGB", strict=True), np.uint8)
    except ValueError as error:
        if (corrected := corrected_jpeg(content)) != content:
            return _decode_jpeg(corrected)
        if "premature end" in str(error).lower():
            raise ImageError(RejectReason.TRUNCATED, "compressed data are missing") from error
        if _UNSUPPORTED.search(str(error)):
            message = (
                f"JPEG sampling {jpeg_sampling(content)} is not read ({error}); export with 4:4:4, "
                "4:2:2 or 4:2:0"
            )
            raise ImageError(RejectReason.UNSUPPORTED_FORMAT, message) from error
        raise ImageError(RejectReason.CORRUPT, f"the JPEG decoder says: {error}") from error


def _decode_png(content: bytes, header: ImageHeader) -> NDArray[np.uint8]:
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    if header.may_be_transparent:
        flags = cv2.IMREAD_UNCHANGED
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(RejectReason.CORRUPT, "the PNG decoder refused the image") from error
    if pixels is None:
        raise ImageError(RejectReason.CORRUPT, "the PNG's compressed data are damaged")
    if header.may_be_transparent:
        return _opaque(np.asarray(pixels, np.uint8))
    return np.asarray(pixels, np.uint8)


def _opaque(bgra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if bgra.ndim != 3 or bgra.shape[2] != 4 or bgra[..., 3].min() < 255:
        raise ImageError(RejectReason.UNSUPPORTED_COLOUR, "the PNG has transparent pixels")
    return np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB), np.uint8)


def _check_dimensions(header: ImageHeader, limits: ImageLimits) -> None:
    if header.height * header.width > limits.max_pixels:
        raise ImageError(
            RejectReason.TOO_MANY_PIXELS,
            f"{header.width} x {header.height} px, at most {limits.max_pixels} px are decoded",
        )
    if min(header.height, header.width) < MIN_SIDE_PX:
        raise ImageError(
            RejectReason.TOO_SMALL,
            f"{header.width} x {header.height} px, each side needs {MIN_SIDE_PX} px",
        )


def _translate(error: OSError, path: Path) -> ImageError | TransientError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return ImageError(RejectReason.UNREADABLE, "no permission to read the file")
    if isinstance(error, TooLargeError):
        return ImageError(RejectReason.TOO_LARGE, f"{error.strerror}")
    if isinstance(error, NotRegularError):
        return ImageError(RejectReason.NOT_A_FILE, "not a regular file")
    return TransientError(f"{path} could not be read: {error.strerror}")
