"""Tiny but real SavedModels, built on the spot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = 12
SIZE = 32
LABELS_CSV = "id,name\n" + "\n".join(
    f"{class_id},{'background' if class_id == 11 else f'Species number{class_id}'}"
    for class_id in reversed(range(CLASSES))
)


def save_tiny_model(
    folder: Path, *, logits: bool = False, classes: int = CLASSES, change: str = ""
) -> Path:
    """Saves a small convolutional classifier with fixed weights; `change` breaks it one way.

    Changes: `nan` weights, `bgr` order, `file` reads a file, `python` calls Python, `two` outputs.
    """
    import tensorflow as tf

    random = np.random.RandomState(5)

    class Tiny(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
        def __init__(self) -> None:
            super().__init__()
            kernel = random.normal(0, 0.6, (5, 5, 3, 16)).astype(np.float32)
            dense = random.normal(0, 0.9, (16 * 16, classes)).astype(np.float32)
            if change == "nan":
                dense[0, 0] = np.nan
            self.kernel = tf.Variable(kernel)
            self.dense = tf.Variable(dense)

        @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32, "images")])  # type: ignore[untyped-decorator]  # TensorFlow has no types
        def serve(self, images: Any) -> Any:
            if change == "bgr":
                images = images[..., ::-1]
            if change == "file":
                content = tf.io.read_file("/etc/hostname")
                images = images + tf.cast(tf.strings.length(content), tf.float32) * 0.0
            if change == "python":
                images = tf.numpy_function(lambda x: x, [images], tf.float32)
                images = tf.ensure_shape(images, [None, SIZE, SIZE, 3])
            features = tf.nn.relu6(tf.nn.conv2d(images, self.kernel, 2, "SAME"))
            pooled = tf.reshape(tf.nn.avg_pool2d(features, 4, 4, "SAME"), [-1, 256])
            scores = tf.matmul(pooled, self.dense)
            scores = scores if logits else tf.nn.softmax(scores)
            return {"a": scores, "b": scores} if change == "two" else {"scores": scores}

    module = Tiny()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


def save_labels(path: Path, text: str = LABELS_CSV) -> Path:
    """Writes a label map for `save_tiny_model`."""
    path.write_text(text)
    return path
