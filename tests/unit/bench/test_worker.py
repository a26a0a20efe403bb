"""A process of its own, and what comes back from it."""

from __future__ import annotations

import os

import pytest

from birdcli.bench.rounds import Work
from birdcli.bench.worker import Loaded, WorkerDiedError, WorkerProcess
from birdcli.errors import ErrorCode, ModelError
from birdcli.metrics import ColdStart
from birdcli.models.engines import EngineName
from birdcli.models.variants import Variant

GOOD = Variant(engine=EngineName.OPENVINO, precision="float32")


class Bench:
    """Fails in the ways that its precisions name."""

    def __init__(self, images: int) -> None:
        self.images = images

    def load(self, variant: Variant) -> Loaded:
        if variant.precision == "refused":
            raise ModelError(ErrorCode.MODEL_LOAD_FAILED, "no", hint="try another")
        if variant.precision == "bug":
            raise ZeroDivisionError("one of ours")
        if variant.precision == "killed":
            os._exit(9)
        start = ColdStart(imports_s=1.0, model_s=2.0, first_batch_s=float(os.getpid()))
        return Loaded(start=start, streams=2, prepared=False, notes=())

    def infer(self, variant: Variant, batch_size: int, seconds: float) -> Work:
        return Work(images=batch_size, images_per_s=seconds, cpu_s=1.0, busy=1.0)

    def classify(self, variant: Variant, batch_size: int, images: int) -> Work:
        return Work(images=images + self.images, images_per_s=1.0, cpu_s=1.0, busy=1.0)


def broken(how: str) -> Variant:
    return Variant(engine=EngineName.OPENVINO, precision=how)


def test_a_worker_answers_from_another_process_and_outlives_errors() -> None:
    with WorkerProcess(Bench, 3) as worker:
        assert worker.load(GOOD).start.first_batch_s != os.getpid()
        assert worker.infer(GOOD, 8, 0.5).images == 8
        with pytest.raises(ModelError, match="no") as caught:
            worker.load(broken("refused"))
        assert (caught.value.code, caught.value.hint) == (
            ErrorCode.MODEL_LOAD_FAILED,
            "try another",
        )
        with pytest.raises(RuntimeError, match="ZeroDivisionError: one of ours"):
            worker.load(broken("bug"))
        assert worker.classify(GOOD, 8, 4).images == 7


def test_a_worker_that_dies_is_an_error_then_and_later() -> None:
    worker = WorkerProcess(Bench, 3)
    with pytest.raises(WorkerDiedError, match="ended with code 9"):
        worker.load(broken("killed"))
    with pytest.raises(WorkerDiedError):
        worker.load(GOOD)
    worker.close()
