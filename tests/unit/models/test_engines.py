"""Each format has its engine, and each precision its name."""

from __future__ import annotations

import pytest

from birdcli.errors import ErrorCode, UsageError
from birdcli.model_version import InputSpec, InputType, LabelsSpec, ModelFormat, ModelVersion
from birdcli.models.engines import choose_engine
from birdcli.models.precision import Precision

TFLITE, SAVED = ModelFormat.TFLITE, ModelFormat.SAVED_MODEL
FLOAT32, UINT8 = InputType.FLOAT32, InputType.UINT8


def version(model_format: ModelFormat, dtype: InputType) -> ModelVersion:
    return ModelVersion(
        name="m",
        version="1",
        format=model_format,
        labels=LabelsSpec(path="labels.csv"),
        input=InputSpec(dtype=dtype),
    )


@pytest.mark.parametrize(
    ("model_format", "dtype", "precision", "backend"),
    [
        (SAVED, FLOAT32, Precision.AUTO, "tensorflow/float32"),
        (SAVED, UINT8, Precision.FLOAT32, "tensorflow/float32"),
        (ModelFormat.TF1_HUB, FLOAT32, Precision.REFERENCE, "tensorflow/reference"),
        (TFLITE, UINT8, Precision.AUTO, "litert/uint8"),
        (TFLITE, FLOAT32, Precision.AUTO, "litert/float32"),
        (TFLITE, FLOAT32, Precision.FLOAT32, "litert/float32"),
        (TFLITE, UINT8, Precision.REFERENCE, "litert/reference"),
    ],
)
def test_the_format_decides_the_engine(
    model_format: ModelFormat, dtype: InputType, precision: Precision, backend: str
) -> None:
    engine = choose_engine(version(model_format, dtype), precision)
    assert engine.backend == backend
    assert engine.reference is (precision is Precision.REFERENCE)
    assert engine.batch_size > 0


def test_a_file_of_whole_numbers_is_never_called_float32() -> None:
    with pytest.raises(UsageError) as caught:
        choose_engine(version(TFLITE, UINT8), Precision.FLOAT32)
    assert caught.value.code is ErrorCode.USAGE_BAD_FLAG
    assert "uint8" in caught.value.message
