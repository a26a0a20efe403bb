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

    Changes: `nan` or `inf` weights, `bgr` order, `file` reads a file, `python` calls Python, `two`
    outputs, `fragile` adds and takes away what bfloat16 cannot hold beside the weights.
    """
    import tensorflow as tf

    random = np.random.RandomState(5)

    class Tiny(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
        def __init__(self) -> None:
            super().__init__()
            kernel = random.normal(0, 0.6, (5, 5, 3, 16)).astype(np.float32)
            dense = random.normal(0, 0.9, (16 * 16, classes)).astype(np.float32)
            if change in ("nan", "inf"):
                dense[0, 0] = float(change)
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
            if change == "fragile":
                large = tf.ones_like(self.dense) * 16.0
                weights = tf.concat([self.dense + large, -large], 0)
                scores = tf.matmul(tf.concat([pooled, pooled], 1), weights)
            else:
                scores = tf.matmul(pooled, self.dense)
            scores = scores if logits else tf.nn.softmax(scores)
            return {"a": scores, "b": scores} if change == "two" else {"scores": scores}

    module = Tiny()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


def save_quantised_model(folder: Path, *, bits: int = 8) -> Path:
    """Saves a classifier as quantisation-aware training leaves it: weights and activations rounded.

    Args:
        folder: Where to save it.
        bits: Of the second layer's activations; with few of them, it is another model without.
    """
    import tensorflow as tf

    random = np.random.RandomState(8)
    first = tf.constant(random.normal(0, 0.6, (5, 5, 3, 8)), tf.float32)
    second = tf.constant(random.normal(0, 0.4, (3, 3, 8, 8)), tf.float32)
    dense = tf.constant(random.normal(0, 0.9, (8 * 16, CLASSES)), tf.float32)
    rounded = tf.quantization.fake_quant_with_min_max_vars

    @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32, "images")])  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def serve(images: Any) -> Any:
        x = tf.nn.relu6(tf.nn.conv2d(images, rounded(first, -2.0, 2.0), 2, "SAME"))
        x = rounded(x, 0.0, 6.0)
        kernel = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            second, tf.fill([8], -1.5), tf.fill([8], 1.5)
        )
        x = tf.nn.relu6(tf.nn.conv2d(x, kernel, 2, "SAME"))
        x = tf.quantization.fake_quant_with_min_max_args(x, 0.0, 6.0, num_bits=bits)
        pooled = tf.reshape(tf.nn.avg_pool2d(x, 2, 2, "SAME"), [-1, 8 * 16])
        return {"scores": tf.nn.softmax(tf.matmul(pooled, rounded(dense, -3.0, 3.0)))}

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
    return folder


def tiny_function(*, scores: str = "softmax", classes: int = CLASSES) -> Any:
    """Returns a classifier of float32 pictures 0..1, any size, NHWC; `scores` names its end."""
    import tensorflow as tf

    random = np.random.RandomState(6)
    kernel = random.normal(0, 0.6, (5, 5, 3, 16)).astype(np.float32)
    dense = random.normal(0, 1.5, (16 * 16, classes)).astype(np.float32)

    def classify(images: Any) -> Any:
        features = tf.nn.relu6(tf.nn.conv2d(images, kernel, 2, "SAME"))
        small = tf.image.resize(features, (4, 4), antialias=False)
        pooled = tf.reshape(small, [-1, 256])
        logits = tf.matmul(pooled, dense)
        ends = {"softmax": tf.nn.softmax, "sigmoid": tf.sigmoid, "logits": tf.identity}
        return ends[scores](logits)

    return classify


def save_variant(
    folder: Path,
    *,
    shape: tuple[int | None, ...] = (None, SIZE, SIZE, 3),
    dtype: str = "float32",
    nchw: bool = False,
    scores: str = "softmax",
    names: tuple[str, ...] = ("serving_default",),
) -> Path:
    """Saves `tiny_function` behind another kind of input: the same pictures, the same scores."""
    import tensorflow as tf

    classify = tiny_function(scores=scores)

    @tf.function(input_signature=[tf.TensorSpec(shape, dtype, "images")])  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def serve(images: Any) -> Any:
        levels = tf.cast(images, tf.float32)
        if dtype == "int8":
            levels += 128.0
        if dtype != "float32":
            levels /= 255.0
        return {"scores": classify(tf.transpose(levels, [0, 2, 3, 1]) if nchw else levels)}

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures=dict.fromkeys(names, serve))
    return folder


def save_hub_module(folder: Path) -> Path:
    """Saves a TF1 Hub module: reference variables, a graph without tags, its own signatures."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [None, SIZE, SIZE, 3], name="images")
        gain = v1.get_variable("gain", initializer=1.0, use_resource=False)
        scores = tiny_function()(images * gain)
        with v1.Session(graph=graph) as session:
            session.run(v1.global_variables_initializer())
            builder = v1.saved_model.Builder(str(folder))
            signatures = {
                name: v1.saved_model.predict_signature_def({"images": images}, {name: scores})
                for name in ("default", "image_classifier")
            }
            builder.add_meta_graph_and_variables(session, [], signatures)
            builder.save()
    (folder / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return folder


def save_frozen_graph(path: Path, *, two_inputs: bool = False) -> Path:
    """Writes `tiny_function` as one GraphDef with constant weights."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3], name="pictures")
        if two_inputs:
            images = images * tf.compat.v1.placeholder(tf.float32, [], name="gain")
        tf.identity(tiny_function()(images), name="species")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def save_tflite(
    path: Path,
    *,
    dtype: str = "float32",
    scores: str = "softmax",
    shape: tuple[int | None, ...] = (1, SIZE, SIZE, 3),
) -> Path:
    """Converts a small classifier to TFLite, in whole numbers unless `dtype` is float32."""
    import tensorflow as tf

    function = tf.function(
        tiny_function(scores=scores), input_signature=[tf.TensorSpec(shape, tf.float32)]
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], tf.Module()
    )
    if dtype != "float32":
        random = np.random.RandomState(7)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [random.uniform(0, 1, (1, SIZE, SIZE, 3)).astype(np.float32)] for _ in range(4)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.as_dtype(dtype)
        converter.inference_output_type = tf.as_dtype(dtype)
    path.write_bytes(converter.convert())
    return path


def edit_tflite(path: Path, change: Any) -> Path:
    """Lets `change` edit a TFLite file as the object that the schema describes."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def save_labels(path: Path, text: str = LABELS_CSV) -> Path:
    """Writes a label map for `save_tiny_model`."""
    path.write_text(text)
    return path
