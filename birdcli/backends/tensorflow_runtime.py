"""The doors to TensorFlow and TensorFlow Hub: only what runs a model pays for them."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from birdcli.backends.streams import streams_for
from birdcli.errors import ErrorCode, ModelError


def tensorflow() -> Any:
    """Returns the module `tensorflow`, quiet.

    Raises:
        ModelError: ``model.runtime_missing``.
    """
    try:
        import tensorflow as tf  # slow: seconds, 650 MB
    except ImportError as err:
        raise ModelError(
            ErrorCode.MODEL_RUNTIME_MISSING,
            f"TensorFlow cannot be imported: {err}",
            hint="pip install --force-reinstall birdcli",
        ) from err
    tf.get_logger().setLevel(logging.ERROR)  # a dozen warnings per TF1 variable otherwise
    return tf


def tensorflow_hub() -> Any:
    """Returns the module `tensorflow_hub`.

    Raises:
        ModelError: ``model.runtime_missing``.
    """
    with warnings.catch_warnings():
        # Its last release asks setuptools for versions in the old way, which nobody can mend.
        warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
        try:
            import tensorflow_hub as hub
        except ImportError as err:
            raise ModelError(
                ErrorCode.MODEL_RUNTIME_MISSING,
                f"TensorFlow Hub cannot be imported: {err}",
                hint='pip install "setuptools<81" tensorflow-hub',
            ) from err
    return hub


def configure_threads(threads: int, streams: int | None = None) -> int:
    """Divides CPUs among batches that run at once; without effect once TensorFlow has run.

    Args:
        threads: CPUs to use.
        streams: Batches at once; None for the usual number.

    Returns:
        How many batches to run at once.
    """
    tf = tensorflow()
    streams = streams or streams_for(threads)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(max(1, threads // streams))
        tf.config.threading.set_inter_op_parallelism_threads(streams)
    except RuntimeError:
        logging.getLogger(__name__).debug("TensorFlow is running: its threads stay as they are")
    return streams
