"""What a process that decodes and its parent say to each other."""

from __future__ import annotations

import struct
from typing import Final

HEADER: Final = struct.Struct("<QQ")
"""A request: how many encoded bytes, and how large the shared memory is now."""

GO: Final = b"g"
"""The answer to a reply that asks for room for many pixels."""
