"""What reading an image gives."""

from __future__ import annotations

import pytest

from edge.errors import ImageError, RejectReason
from edge.image_files.limits import ImageLimits
from edge.image_files.read import decode_image

LIMITS = ImageLimits()


def reason_of(content: bytes, limits: ImageLimits = LIMITS) -> RejectReason:
    with pytest.raises(ImageError) as caught:
        decode_image(content, limits)
    return caught.value.reason
