"""What programs are called in tables and plots."""

from typing import Final

NAMES: Final = {
    "tensorflow": "birdcli, TensorFlow",
    "openvino": "birdcli[fast]",
    "litert": "birdcli, LiteRT",
    "keras": "tf.data + KerasLayer",
    "threads": "thread pool + KerasLayer",
    "original": "the task's original loop",
    "img2dataset": "img2dataset, download + resize only",
}
