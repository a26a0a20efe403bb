"""How exactly a model is computed."""

from enum import StrEnum


class Precision(StrEnum):
    """How exactly a model is computed."""

    AUTO = "auto"
    FLOAT32 = "float32"
    REFERENCE = "reference"
    """The untouched module through TensorFlow Hub."""
