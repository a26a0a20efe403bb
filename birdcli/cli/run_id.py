"""Names of runs that sort by time."""

from __future__ import annotations

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_run_id(now_s: float, randomness: int) -> str:
    """Returns a ULID: 26 characters that sort by time.

    Args:
        now_s: Seconds since 1970.
        randomness: 80 bits.

    Source:
        github.com/ulid/spec, Crockford's base 32.
    """
    number = (int(now_s * 1000) << 80) | randomness
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
