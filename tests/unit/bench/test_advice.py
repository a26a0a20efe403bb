"""What follows from the numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from birdcli.bench.advice import advise, bound_per_s, find_bottleneck, warn_of_noise
from birdcli.bench.report import Finding
from birdcli.bench.rounds import Rounds
from tests.unit.bench.facts import DECODE, HOST, INFERENCE, PHOTOS, START, WHOLE

if TYPE_CHECKING:
    from birdcli.bench.report import (
        Advice,
        DecodeFacts,
        HostFacts,
        InferenceFacts,
        PhotoFacts,
        WholeFacts,
    )


def findings(
    *,
    host: HostFacts = HOST,
    photos: PhotoFacts = PHOTOS,
    decode: DecodeFacts = DECODE,
    inference: tuple[InferenceFacts, ...] = (INFERENCE,),
    whole: WholeFacts = WHOLE,
    openvino_missing: bool = False,
    tuned: bool = False,
) -> dict[Finding, str]:
    advice: tuple[Advice, ...] = advise(
        host=host,
        photos=photos,
        decode=decode,
        inference=inference,
        whole=whole,
        start=(START,),
        openvino_missing=openvino_missing,
        tuned=tuned,
    )
    assert len({item.finding for item in advice}) == len(advice)
    return {item.finding: item.text for item in advice}


def test_the_bound_is_what_the_work_of_all_cores_allows() -> None:
    assert bound_per_s(3.0, 2.0, 2) == pytest.approx(400.0)


def test_a_host_with_everything_is_told_what_a_core_is_worth() -> None:
    assert list(findings()) == [Finding.MORE_CPUS]
    assert "up to 152 images/s" in findings()[Finding.MORE_CPUS]


def test_a_missing_openvino_is_advised_with_what_tensorflow_costs() -> None:
    text = findings(openvino_missing=True)[Finding.INSTALL_FAST]
    assert 'pip install "birdcli[fast]"' in text
    assert "one photo takes 4.7 s" in text


@pytest.mark.parametrize(("inference_ms", "told"), [(2.4, True), (0.5, False)])
def test_bfloat16_matters_where_inference_does(inference_ms: float, *, told: bool) -> None:
    whole = replace(WHOLE, inference_core_ms=inference_ms)
    found = findings(host=replace(HOST, bfloat16=False), whole=whole)
    assert (Finding.NO_BFLOAT16 in found) is told


def test_a_limit_of_cpus_is_named() -> None:
    text = findings(host=replace(HOST, all_cpus=64))[Finding.FEWER_CPUS]
    assert "2 of the machine's 64 CPUs" in text


def test_cpus_left_idle_by_an_option_are_named() -> None:
    host = replace(HOST, cpus=1)
    assert "--threads 1 leaves 1 idle" in findings(host=host)[Finding.FEWER_CPUS]


def test_idle_cpus_are_no_reason_to_buy_more() -> None:
    found = findings(whole=replace(WHOLE, busy=0.5))
    assert "50% busy" in found[Finding.IDLE_CPUS]
    assert Finding.MORE_CPUS not in found


def test_cpus_that_others_use_are_told_apart_from_idle_ones() -> None:
    decode = replace(DECODE, busy=0.5)
    found = findings(decode=decode, whole=replace(WHOLE, busy=0.5))
    assert "got 50% of the CPUs" in found[Finding.SHARED_CPUS]
    assert not {Finding.MORE_CPUS, Finding.IDLE_CPUS} & set(found)
    assert find_bottleneck(replace(WHOLE, busy=0.5), decode, 2).startswith("The 2 CPUs are")


@pytest.mark.parametrize(
    ("megapixels", "decode_ms", "told"), [(12.0, 5.0, True), (12.0, 1.0, False), (2.0, 5.0, False)]
)
def test_large_photos_matter_where_decoding_does(
    megapixels: float, decode_ms: float, *, told: bool
) -> None:
    photos = replace(PHOTOS, mean_megapixels=megapixels)
    found = findings(photos=photos, whole=replace(WHOLE, decode_core_ms=decode_ms))
    assert (Finding.LARGE_PHOTOS in found) is told


@pytest.mark.parametrize(("per_s", "told"), [(100.0, True), (2000.0, False), (None, False)])
def test_a_disk_slower_than_the_rest_is_named(per_s: float | None, *, told: bool) -> None:
    found = findings(photos=replace(PHOTOS, read_per_s=per_s))
    assert (Finding.SLOW_DISK in found) is told


def test_a_much_faster_batch_size_is_a_reason_to_tune_once() -> None:
    better = replace(INFERENCE, batch_size=32, images_per_s=Rounds((1000.0,)))
    text = findings(inference=(INFERENCE, better))[Finding.TUNE]
    assert "batches of 32 answers 1.2 times as fast" in text
    assert Finding.TUNE not in findings(inference=(INFERENCE, better), tuned=True)


def test_the_bottleneck_is_named_with_its_share() -> None:
    words = find_bottleneck(WHOLE, DECODE, 2)
    assert words.startswith("The 2 CPUs are the limit; decoding takes 53% of the work, inference")


def test_a_single_cpu_is_one() -> None:
    assert find_bottleneck(WHOLE, DECODE, 1).startswith("The CPU is the limit; ")


def test_cpus_that_wait_are_not_the_limit() -> None:
    words = find_bottleneck(replace(WHOLE, busy=0.6), DECODE, 2)
    assert words.startswith("The CPUs were 60% busy: something else was waited for; ")


def test_the_noisiest_figure_is_named() -> None:
    figures = [
        ("calm", Rounds((100.0, 105.0))),
        ("wild", Rounds((100.0, 150.0))),
        ("odd", Rounds((100.0, 120.0))),
    ]
    (warning,) = warn_of_noise(figures)
    assert "wild by 40%, and 1 more" in warning


def test_calm_rounds_are_no_warning() -> None:
    assert warn_of_noise([("calm", Rounds((100.0, 105.0)))]) == ()
