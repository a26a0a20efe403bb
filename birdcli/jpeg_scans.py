"""How many passes over its picture a JPEG file asks for."""

from __future__ import annotations

import re
from typing import Final

from birdcli.errors import DecodeError, ErrorCode

MAX_SCANS: Final = 100
"""Encoders write 1 to about 20; a 60 KB file with 2,000 takes a decoder 13 s.

Source:
    libtiff's own limit for JPEG (LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER).
"""

_MAX_SEGMENTS: Final = 10_000  # of at most 64 KB: more than any metadata needs
_START_OF_SCAN: Final = b"\xff\xda"
_END_OF_IMAGE: Final = b"\xff\xd9"
# Markers with a length, and the end. Zero is an escape, FF a filler; the others stand alone.
_SEGMENT: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")


def verify_scans(data: bytes) -> None:
    """Refuses a JPEG file whose first picture has more than `MAX_SCANS` scans.

    Metadata is skipped by its length, as decoders do. What follows the picture, such as the film of
    a motion photo, is not looked at: by chance it holds as many markers as it likes.

    Raises:
        DecodeError: ``decode.too_large``.
    """
    # Nearly every file has fewer of these bytes anywhere, and counting them costs next to nothing.
    if data.count(_START_OF_SCAN) <= MAX_SCANS:
        return
    scans = at = 0
    for _ in range(_MAX_SEGMENTS):
        segment = _SEGMENT.search(data, at)
        if segment is None or segment[0] == _END_OF_IMAGE:
            return
        scans += segment[0] == _START_OF_SCAN
        if scans > MAX_SCANS:
            raise _too_many("scans", MAX_SCANS)
        length = int.from_bytes(data[segment.end() : segment.end() + 2], "big")
        at = segment.end() + length
    raise _too_many("segments", _MAX_SEGMENTS)


def _too_many(what: str, limit: int) -> DecodeError:
    return DecodeError(
        ErrorCode.DECODE_TOO_LARGE,
        f"the JPEG picture has more than {limit:,} {what}",
        hint="If it is a real photo, save it anew.",
        limit=limit,
    )
