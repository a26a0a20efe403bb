"""How exactly a model is computed."""

from enum import StrEnum


class Precision(StrEnum):
    """How exactly a model is computed."""

    AUTO = "auto"
    """float32, or what a TFLite file is stored in."""
    FLOAT32 = "float32"
    REFERENCE = "reference"
    """The untouched model: through TensorFlow Hub, or by TFLite's own kernels."""
