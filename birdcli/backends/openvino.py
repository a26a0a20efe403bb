"""A `Classifier` over OpenVINO, which starts in a fraction of TensorFlow's time."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from birdcli.backends.signature import MOST_CLASSES
from birdcli.backends.streams import streams_for
from birdcli.errors import ErrorCode, InferenceError, ModelError

if TYPE_CHECKING:
    from birdcli.items import RgbBatch, ScoreBatch

_DEVICE: Final = "CPU"
_PRECISIONS: Final = {"float32": "f32", "bfloat16": "bf16"}


def openvino() -> Any:
    """Returns the module `openvino`.

    Raises:
        ModelError: ``model.runtime_missing``.
    """
    # It would report its import to Intel, from a fork of this process: one that does not end when
    # this process leaves early, and keeps the output open for whoever waits for its end.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # means: not there
    try:
        import openvino as library
    except Exception as err:  # what a broken installation raises at its import cannot be listed
        raise ModelError(
            ErrorCode.MODEL_RUNTIME_MISSING,
            f"OpenVINO cannot be imported: {err}",
            hint='pip install "birdcli[fast]"',
        ) from err
    return library


def convert_graph(data: bytes, *, model: str) -> tuple[bytes, bytes]:
    """Turns a frozen graph into OpenVINO's own format, which it reads ten times faster.

    Args:
        data: What `freeze` made.
        model: What to call the model in messages.

    Returns:
        The description, XML, and the weights, as float32.

    Raises:
        ModelError: ``model.load_failed``, ``model.runtime_missing``.
    """
    library = openvino()
    try:
        with tempfile.TemporaryDirectory(prefix="birdcli-") as folder:
            source, target = Path(folder) / "graph.pb", Path(folder) / "graph.xml"
            source.write_bytes(data)
            library.save_model(library.Core().read_model(source), target, compress_to_fp16=False)
            return target.read_bytes(), target.with_suffix(".bin").read_bytes()
    except (RuntimeError, OSError) as err:  # OSError: the folder for temporary files is full
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"OpenVINO cannot convert {model}: {_reason(err)}"
        ) from err


class OpenVinoClassifier:
    """A compiled model as a classifier; as many threads may use it at once as it has streams."""

    def __init__(
        self, compiled: Any, *, backend: str, class_count: int, streams: int, one_at_a_time: bool
    ) -> None:
        """Wraps a model from uint8 [N, H, W, 3] to probabilities [N, C]."""
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())
        self._one_at_a_time = one_at_a_time
        self.backend = backend
        self.class_count = class_count
        self.streams = streams

    def classify(self, pixels: RgbBatch) -> ScoreBatch:
        """Returns the scores of a batch.

        Args:
            pixels: uint8 [N, H, W, 3] at the model's input size.

        Returns:
            float32 [N, C] probabilities.

        Raises:
            InferenceError: ``inference.failed``.
        """
        import numpy as np

        step = 1 if self._one_at_a_time else len(pixels)
        request = self._requests.get()
        try:
            parts = [
                # Copied out: the next batch of this request overwrites its results.
                request.infer([pixels[start : start + step]], share_inputs=True)[0].copy()
                for start in range(0, len(pixels), step)
            ]
        except (RuntimeError, TypeError, ValueError) as err:
            raise InferenceError(
                ErrorCode.INFERENCE_FAILED, f"OpenVINO refused the batch: {_reason(err)}"
            ) from err
        finally:
            self._requests.put(request)
        scores: ScoreBatch = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return scores


def load_ir(
    description: bytes,
    weights: bytes,
    *,
    model: str,
    precision: str,
    threads: int,
    streams: int | None = None,
) -> OpenVinoClassifier:
    """Loads what `convert_graph` made.

    Args:
        description: The XML.
        weights: The weights.
        model: What to call the model in messages.
        precision: `float32` or `bfloat16`.
        threads: CPUs to use.
        streams: Batches at once; None for the usual number.

    Raises:
        ModelError: ``model.load_failed``, ``model.runtime_missing``.
    """
    library = openvino()
    streams = streams or streams_for(threads)
    settings = {
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
        # Whoever decodes needs the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    try:
        core = library.Core()
        network = core.read_model(description, weights)
        source, result = network.input(0).partial_shape, network.output(0).partial_shape
        if network.input(0).element_type.get_type_name() != "u8" or len(result) != 2:
            raise ModelError(
                ErrorCode.MODEL_LOAD_FAILED, f"{model}: the prepared graph does not take pixels"
            )
        class_count = result[1].get_length() if result[1].is_static else 0
        compiled = core.compile_model(network, _DEVICE, settings)
    except (RuntimeError, TypeError) as err:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"OpenVINO cannot load {model}: {_reason(err)}"
        ) from err
    if not 1 <= class_count <= MOST_CLASSES:
        raise ModelError(ErrorCode.MODEL_LOAD_FAILED, f"{model}: the number of classes is unknown")
    return OpenVinoClassifier(
        compiled,
        backend=f"openvino/{precision}",
        class_count=class_count,
        streams=streams,
        one_at_a_time=bool(source[0].is_static and source[0].get_length() == 1),
    )


def _reason(err: Exception) -> str:
    """Returns the last line of a message, the first ones name files of OpenVINO's source."""
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    return lines[-1] if lines else type(err).__name__
