"""What a record and an input have in common: the key by which one is matched to the other."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from birdcli.outside_text import recordable
from birdcli.record import input_is_recorded, recorded_bytes

if TYPE_CHECKING:
    from birdcli.items import ImageRef
    from birdcli.output.lines import RecordHead

_KEY_BYTES: Final = 16


def input_digest(source: str, salt: bytes) -> str:
    """Returns the digest that stands in a record for an input whose text it must not hold.

    A plain digest of a URL with a password would let others try passwords at leisure; the salt is
    kept beside the output, in a file of its own.

    Args:
        source: Exactly what the user gave.
        salt: Of this output.
    """
    return hmac.new(salt, _encoded(source), hashlib.sha256).hexdigest()


def key_of_input(ref: ImageRef, salt: bytes) -> bytes:
    """Returns the key of an input: 16 bytes of its sha256, together with its id."""
    if input_is_recorded(ref.source):
        return _key(b"=" + _encoded(ref.source), ref.id)
    return _key(b"#" + input_digest(ref.source, salt).encode(), ref.id)


def key_of_record(head: RecordHead) -> bytes:
    """Returns the key of the input that a record is about."""
    if head.input_hmac is not None:
        return _key(b"#" + _encoded(head.input_hmac), head.id)
    if head.input_b64 is not None:
        try:
            return _key(b"=" + base64.b64decode(head.input_b64), head.id)
        except (ValueError, binascii.Error):  # changed by hand: matches nothing
            return _key(b"?" + _encoded(head.input_b64), head.id)
    return _key(b"=" + _encoded(head.input), head.id)


def _encoded(text: str) -> bytes:
    raw = recorded_bytes(text)
    return text.encode("utf-8", "surrogatepass") if raw is None else raw


def _key(data: bytes, row_id: str | None) -> bytes:
    # With its length, so that no text of an input can pass for another input with an id.
    parts = b"" if row_id is None else recordable(row_id).encode()
    head = b"-" if row_id is None else b"%d:" % len(parts)
    return hashlib.sha256(head + parts + data).digest()[:_KEY_BYTES]
