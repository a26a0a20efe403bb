"""Reports as JSON and as text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from birdcli.bench.report import Advice, BenchReport, Finding, StartFacts, json_value
from birdcli.bench.rounds import Rounds
from birdcli.bench.trials import Trial, TuneReport
from birdcli.cli.bench_text import print_report, print_tune_report
from birdcli.metrics import ColdStart
from birdcli.models.engines import EngineName
from birdcli.models.variants import Variant
from tests.unit.bench.facts import DECODE, HOST, INFERENCE, PHOTOS, START, WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable

REPORT = BenchReport(
    host=HOST,
    model="birds@1",
    photos=PHOTOS,
    decode=DECODE,
    inference=(INFERENCE,),
    whole=(WHOLE,),
    start=(START,),
    bottleneck="The 2 CPUs are the limit; decoding takes 53% of the work",
    advice=(
        Advice(finding=Finding.MORE_CPUS, text="More CPUs help. " * 12),
        Advice(finding=Finding.TUNE, text="Tune."),
    ),
    warnings=("rounds differ",),
)
DEFAULT = Trial(
    engine="openvino",
    precision="float32",
    batch_size=8,
    streams=2,
    images_per_s=Rounds((100.0, 101.0)),
)
BETTER = replace(DEFAULT, batch_size=32, images_per_s=Rounds((121.0, 122.0)))
TUNED = TuneReport(
    model="birds@1",
    cpus=2,
    photos=replace(PHOTOS, generated=True),
    screened=tuple(replace(DEFAULT, images_per_s=Rounds((float(at),))) for at in range(9, 0, -1)),
    finalists=(DEFAULT, BETTER),
    chosen=BETTER,
    warnings=(),
)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    return lambda: capsys.readouterr().out.splitlines()


def test_json_has_every_figure_with_its_rounds() -> None:
    fields = json.loads(json.dumps(json_value(REPORT)))
    assert fields["host"]["versions"] == {"birdcli": "1", "openvino": "2"}
    assert fields["decode"]["images_per_s"] == {
        "median": 590.0,
        "spread": 0.0339,
        "rounds": [580.0, 590.0, 600.0],
    }
    assert fields["whole"][0]["reached"] == pytest.approx(0.884, abs=1e-3)
    assert fields["advice"][0]["finding"] == "more_cpus"
    assert fields["photos"]["read_mb_s"] == 500.0


def test_a_start_keeps_its_parts() -> None:
    variant = Variant(engine=EngineName.TENSORFLOW, precision="float32")
    start = ColdStart(imports_s=2.0, model_s=0.8, first_batch_s=0.9)
    assert StartFacts.of(variant, start, Rounds((4.6, 4.8))) == START


def test_text_shows_tables_bottleneck_advice_and_noise(printed: Callable[[], list[str]]) -> None:
    print_report(REPORT)
    lines = printed()
    assert "Decoding alone" in lines
    assert "1 to 4 MP   100%      3.4" in lines
    assert "openvino/bfloat16      8        2      2.4       810      2%" in lines
    assert any(line.split()[-2:] == ["345", "88%"] for line in lines)
    assert any(line.startswith("Bottleneck  The 2 CPUs are the limit") for line in lines)
    assert "            Tune." in lines
    assert "Warning     rounds differ" in lines
    assert max(map(len, lines)) <= 100


def test_photos_are_told_with_what_was_left_out(printed: Callable[[], list[str]]) -> None:
    photos = replace(PHOTOS, found=5000, unreadable=3)
    print_report(replace(REPORT, photos=photos, advice=(), warnings=()))
    text = " ".join(" ".join(printed()).split())
    assert "Photos 20 of 5,000, 3 left out; 250 kB and 1.5 megapixels each; first reading" in text
    assert "Advice" not in text


def test_a_better_setting_is_told_with_its_gain(printed: Callable[[], list[str]]) -> None:
    print_tune_report(TUNED)
    text = "\n".join(printed())
    assert "Tried once each (9 settings, the best 8)" in text
    assert "Photos      drawn for this, 20 different ones" in text
    assert "openvino/float32, batches of 32, 2 at once: 21% faster" in text


def test_a_default_that_wins_is_told_as_one(printed: Callable[[], list[str]]) -> None:
    print_tune_report(replace(TUNED, chosen=DEFAULT, screened=TUNED.screened[:2]))
    text = "\n".join(printed())
    assert "Tried once each (2 settings)" in text
    assert "nothing is faster by" in text
