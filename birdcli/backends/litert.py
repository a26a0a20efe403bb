"""A `Classifier` over LiteRT, which runs TFLite files."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from birdcli.backends.feed import arranged, scaled
from birdcli.backends.signature import check_input, count_classes
from birdcli.backends.tflite_file import read_tflite
from birdcli.errors import ErrorCode, InferenceError, ModelError
from birdcli.model_version import InputType, Layout, OutputKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from birdcli.items import RgbBatch, ScoreBatch
    from birdcli.model_version import InputSpec

SCORE_TYPES: Final = frozenset({"float32", "int8", "uint8"})
_TRIAL_S: Final = 120.0


def import_litert() -> tuple[Callable[..., Any], Any]:
    """Returns the class of the engine's interpreters and its kinds of kernels.

    Raises:
        ModelError: ``model.runtime_missing``.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        from birdcli.backends.tensorflow_runtime import tensorflow

        tf = tensorflow()  # the same kernels; only slower to import

        def quiet(**arguments: Any) -> Any:
            with warnings.catch_warnings():
                # It asks for the package that was looked for first.
                warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated")
                return tf.lite.Interpreter(**arguments)

        return quiet, tf.lite.experimental.OpResolverType
    return Interpreter, OpResolverType


class LiteRtClassifier:
    """A TFLite file as a classifier, one picture after the other."""

    def __init__(
        self, interpreter: Any, *, spec: InputSpec, output: OutputKind, backend: str
    ) -> None:
        """Wraps an interpreter whose tensors are allocated for one picture."""
        self._interpreter = interpreter
        self._spec = spec
        self._output = output
        self._source = interpreter.get_input_details()[0]["index"]
        self._result = interpreter.get_output_details()[0]
        self.backend = backend
        self.streams = 1  # an interpreter has one set of tensors
        self.class_count = int(self._result["shape"][-1])

    def classify(self, pixels: RgbBatch) -> ScoreBatch:
        """Returns the scores of a batch.

        Args:
            pixels: uint8 [N, H, W, 3] at the model's input size.

        Returns:
            float32 [N, C] probabilities.

        Raises:
            InferenceError: ``inference.failed``.
        """
        images: NDArray[Any] = arranged(pixels, self._spec)
        scores = np.empty((len(images), self.class_count), np.float32)
        try:
            for position in range(len(images)):
                image = images[position : position + 1]
                if self._spec.dtype is InputType.FLOAT32:
                    image = scaled(image.astype(np.float32), self._spec.scale)
                self._interpreter.set_tensor(self._source, image)
                self._interpreter.invoke()
                scores[position] = self._read_scores()
        except (RuntimeError, ValueError) as err:
            reason = str(err).partition("\n")[0]
            raise InferenceError(
                ErrorCode.INFERENCE_FAILED, f"LiteRT refused the batch: {reason}"
            ) from err
        return _softmax(scores) if self._output is OutputKind.LOGITS else scores

    def _read_scores(self) -> NDArray[np.float32]:
        raw: NDArray[Any] = self._interpreter.get_tensor(self._result["index"])[0]
        if raw.dtype == np.float32:
            return raw
        scale, zero = self._result["quantization"]
        return (raw.astype(np.float32) - np.float32(zero)) * np.float32(scale)


def _softmax(logits: ScoreBatch) -> ScoreBatch:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: ScoreBatch = exponents / exponents.sum(axis=1, keepdims=True)
    return shares


def load_tflite(
    data: bytes,
    *,
    model: str,
    spec: InputSpec,
    output: OutputKind,
    threads: int,
    reference: bool = False,
) -> LiteRtClassifier:
    """Loads a TFLite file.

    Args:
        data: The file.
        model: What to call the model in messages.
        spec: What it is fed.
        output: Kind of its numbers.
        threads: CPUs for one picture.
        reference: Whether to use TFLite's own kernels, without the delegate that replaces most of
            them by faster ones.

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.
    """
    facts = read_tflite(data, model=model).signature
    check_input(facts.input, spec, model=model)
    count_classes(facts.output, types=SCORE_TYPES, model=model)
    interpreter_class, kernels = import_litert()
    size = [spec.height, spec.width]
    shape = [1, 3, *size] if spec.layout is Layout.NCHW else [1, *size, 3]
    resolver = kernels.BUILTIN_WITHOUT_DEFAULT_DELEGATES if reference else kernels.AUTO
    try:
        interpreter = interpreter_class(
            model_content=data, num_threads=threads, experimental_op_resolver_type=resolver
        )
        source = interpreter.get_input_details()[0]
        if source["shape"].tolist() != shape:
            interpreter.resize_tensor_input(source["index"], shape)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as err:
        reason = str(err).partition("\n")[0]
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{model} cannot be loaded: {reason}"
        ) from err
    backend = "litert/reference" if reference else f"litert/{spec.dtype}"
    return LiteRtClassifier(interpreter, spec=spec, output=output, backend=backend)


def try_in_child(path: Path, spec: InputSpec, *, model: str, timeout_s: float = _TRIAL_S) -> None:
    """Runs a TFLite file once, in a process of its own.

    The library checks that a file is well-formed, not that it makes sense: one damaged byte in
    some thousand kills the process. Once a file has run, its digest vouches for it.

    Args:
        path: The file.
        spec: What the model is fed.
        model: What to call the model in messages.
        timeout_s: How long it may take.

    Raises:
        ModelError: ``model.load_failed``.
    """
    command = [sys.executable, "-P", "-m", "birdcli.backends.litert_trial", str(path)]
    command += [str(spec.height), str(spec.width), spec.dtype.value, spec.layout.value]
    try:
        done = subprocess.run(  # noqa: S603  # ourselves, with numbers and a path
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"{model} has not answered for one picture within {timeout_s:g} s",
        ) from err
    if done.returncode < 0:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"{model} kills the process that runs it (signal {-done.returncode}): its file is "
            "damaged or hostile",
        )
    if done.returncode > 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"{model} does not run: {lines[-1] if lines else 'no reason given'}",
        )
