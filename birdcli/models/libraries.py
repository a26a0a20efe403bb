"""The libraries whose version may change an answer."""

from typing import Final

ANSWERING_LIBRARIES: Final = ("tensorflow", "ai-edge-litert", "pillow", "numpy")
