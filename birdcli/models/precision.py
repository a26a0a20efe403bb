"""How exactly a model is computed."""

from enum import StrEnum


class Precision(StrEnum):
    """How exactly a model is computed."""

    AUTO = "auto"
    """The fastest that this machine has, or what a TFLite file is stored in."""
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    """Eight bits of precision, in which some processors compute twice as fast."""
    REFERENCE = "reference"
    """The untouched model: through TensorFlow Hub, or by TFLite's own kernels."""
