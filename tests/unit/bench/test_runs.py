"""Runs of the benchmark and the tuning over engines whose speed is known."""

from __future__ import annotations

import io
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest
from PIL import Image

from birdcli.bench.photos import load_photos
from birdcli.bench.rounds import Work
from birdcli.bench.worker import Loaded
from birdcli.cli.bench_subject import BenchSubject, open_worker
from birdcli.cli.benching import measure
from birdcli.cli.tune_run import tune
from birdcli.errors import ErrorCode, ModelError
from birdcli.metrics import ColdStart
from birdcli.models.engines import EngineName, Machine
from birdcli.models.variants import Variant
from birdcli.registry import load_builtin_manifest
from birdcli.settings import DecodeSettings
from birdcli.tuning import Setting, tuning_key

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from birdcli.bench.worker import EngineBench

FAST = Variant(engine=EngineName.OPENVINO, precision="bfloat16")
EXACT = Variant(engine=EngineName.OPENVINO, precision="float32")
SETTINGS = DecodeSettings(height=16, width=16)
HEAVY = Variant(engine=EngineName.TENSORFLOW, precision="float32")


class Scripted:
    """Engines with a script: which variants fail, which settings are fast."""

    def __init__(self) -> None:
        self.failing: dict[Variant, ModelError] = {}
        self.fast: dict[tuple[Variant, int, int], float] = {}
        self.prepares = 0
        self.starts: list[int | None] = []

    def start(self, streams: int | None) -> AbstractContextManager[EngineBench]:
        self.starts.append(streams)
        return nullcontext(_Engine(self, streams or 2))


class _Engine:
    def __init__(self, script: Scripted, streams: int) -> None:
        self.script = script
        self.streams = streams

    def load(self, variant: Variant) -> Loaded:
        if variant in self.script.failing:
            raise self.script.failing[variant]
        prepared = self.script.prepares > 0
        self.script.prepares -= 1
        start = ColdStart(imports_s=0.1, model_s=0.2, first_batch_s=0.3)
        notes = ("birdcli: warning: it is not kept",) if prepared else ()
        return Loaded(start=start, streams=self.streams, prepared=prepared, notes=notes)

    def infer(self, variant: Variant, batch_size: int, seconds: float) -> Work:
        return Work(images=batch_size, images_per_s=100.0, cpu_s=0.01, busy=1.0)

    def classify(self, variant: Variant, batch_size: int, images: int) -> Work:
        rate = self.script.fast.get((variant, batch_size, self.streams), 100.0)
        return Work(images=images, images_per_s=rate, cpu_s=images / rate, busy=1.0)


@pytest.fixture
def script() -> Scripted:
    return Scripted()


@pytest.fixture
def subject(script: Scripted, tmp_path: Path) -> BenchSubject:
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 30)).save(path)
    version = load_builtin_manifest().versions[0]
    machine = Machine(host="x86_64:avx512_bf16", versions={"openvino": "1"})
    return BenchSubject(
        version=version,
        photos=load_photos([str(path)], SETTINGS),
        machine=machine,
        key=tuning_key(version, machine, cpus=2),
        tuning=None,
        variants=(FAST, EXACT, HEAVY),
        decode=SETTINGS,
        cpus=2,
        start=script.start,
        people=io.StringIO(),
    )


def said(subject: BenchSubject) -> str:
    assert isinstance(subject.people, io.StringIO)
    return subject.people.getvalue()


def mismatch() -> ModelError:
    return ModelError(ErrorCode.MODEL_GOLDEN_MISMATCH, "0.9 nat off", part="scores")


def test_a_variant_that_fails_the_golden_check_is_left_out(
    subject: BenchSubject, script: Scripted
) -> None:
    script.failing[FAST] = mismatch()
    with ExitStack() as stack:
        _, loaded = open_worker(subject, [FAST, EXACT], stack, streams=None)
    assert list(loaded) == [EXACT]
    assert "openvino/bfloat16 is left out: 0.9 nat off" in said(subject)


def test_a_start_that_prepares_is_followed_by_one_that_counts(
    subject: BenchSubject, script: Scripted
) -> None:
    script.prepares = 1
    with ExitStack() as stack:
        _, loaded = open_worker(subject, [FAST], stack, streams=1)
    assert script.starts == [1, 1]
    assert not loaded[FAST].prepared


def test_a_home_that_keeps_nothing_is_started_twice_and_no_more(
    subject: BenchSubject, script: Scripted
) -> None:
    script.prepares = 1000
    with ExitStack() as stack:
        open_worker(subject, [FAST], stack, streams=None)
    assert script.starts == [None, None]
    assert "it is not kept" in said(subject)


@pytest.mark.parametrize("run", [measure, tune])
def test_a_model_that_cannot_be_trusted_ends_the_run(
    run: object, subject: BenchSubject, script: Scripted
) -> None:
    script.failing[FAST] = ModelError(ErrorCode.MODEL_SHA256_MISMATCH, "a byte is flipped")
    assert callable(run)
    with pytest.raises(ModelError, match="a byte is flipped"):
        run(subject, 0.01)


@pytest.mark.parametrize("run", [measure, tune])
def test_without_any_engine_there_is_nothing_to_measure(
    run: object, subject: BenchSubject, script: Scripted
) -> None:
    script.failing = dict.fromkeys((FAST, EXACT, HEAVY), mismatch())
    assert callable(run)
    with pytest.raises(ModelError, match="nat off"):
        run(subject, 0.01)
    assert "openvino is left out" in said(subject)


def test_an_engine_whose_command_fails_is_left_out(subject: BenchSubject) -> None:
    unknown = msgspec.structs.replace(subject.version, name="unknown-birds")
    with pytest.raises(ModelError, match="classify --engine openvino ended with code 3"):
        measure(replace(subject, variants=(FAST,), version=unknown), 0.01)


def test_a_clearly_faster_setting_is_chosen_and_would_be_remembered(
    subject: BenchSubject, script: Scripted
) -> None:
    script.fast[HEAVY, 32, 1] = 200.0
    report, tuning = tune(subject, 0.01)
    wanted = Setting(engine=EngineName.TENSORFLOW, precision="float32", batch_size=32, streams=1)
    assert tuning.setting == wanted
    assert (tuning.images_per_s, tuning.default_images_per_s) == (200.0, 100.0)
    assert tuning.key == subject.key
    assert report.changed
    assert report.finalists[0].backend == "openvino/bfloat16"
    assert report.screened[0].batch_size == 32


def test_the_slower_precision_is_tried_with_one_batch_size_only(
    subject: BenchSubject, script: Scripted
) -> None:
    script.fast[EXACT, 8, 2] = 150.0
    report, _ = tune(subject, 0.01)
    tried = [trial.batch_size for trial in report.screened if trial.precision == "bfloat16"]
    assert tried == [8]
    assert report.chosen.backend == "openvino/float32"


def test_equal_settings_leave_the_default(subject: BenchSubject) -> None:
    report, tuning = tune(subject, 0.01)
    assert not report.changed
    assert tuning.setting.variant == FAST


def test_an_engine_that_fails_does_not_stop_a_tuning(
    subject: BenchSubject, script: Scripted
) -> None:
    script.failing = dict.fromkeys((FAST, EXACT), mismatch())
    report, _ = tune(subject, 0.01)
    assert {trial.engine for trial in report.screened} == {"tensorflow"}
    assert "openvino is left out: 0.9 nat off" in said(subject)


def test_what_is_remembered_is_what_is_measured(subject: BenchSubject) -> None:
    _, tuning = tune(subject, 0.01)
    setting = Setting(engine=EngineName.OPENVINO, precision="bfloat16", batch_size=16, streams=2)
    tuned = replace(subject, tuning=type(tuning)(subject.key, "a@1", setting, 2.0, 1.0, "now"))
    assert tuned.batch_size_of(FAST) == 16
    assert tuned.batch_size_of(EXACT) == 8
