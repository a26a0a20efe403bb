"""What a tuning tries."""

from __future__ import annotations

from birdcli.bench.rounds import Rounds
from birdcli.bench.trials import pick_finalists, setting_of, stream_counts, trial_of
from birdcli.models.engines import EngineName
from birdcli.models.variants import Variant

VARIANT = Variant(engine=EngineName.OPENVINO, precision="float32")


def test_streams_to_try_begin_with_the_usual_number() -> None:
    assert stream_counts(EngineName.OPENVINO, 8) == (8, 4, 1)
    assert stream_counts(EngineName.OPENVINO, 2) == (2, 1)
    assert stream_counts(EngineName.TENSORFLOW, 1) == (1,)


def test_litert_runs_one_batch_at_once() -> None:
    assert stream_counts(EngineName.LITERT, 8) == (1,)


def test_the_default_is_always_compared_with_the_fastest_others() -> None:
    settings = [setting_of(VARIANT, size, 2) for size in (8, 4, 16, 32)]
    rates = dict(zip(settings, (100.0, 80.0, 120.0, 110.0), strict=True))
    assert pick_finalists(rates, settings[0]) == (settings[0], settings[2], settings[3])


def test_a_single_setting_is_its_only_finalist() -> None:
    setting = setting_of(VARIANT, 8, 2)
    assert pick_finalists({setting: 100.0}, setting) == (setting,)


def test_a_trial_tells_its_setting_and_rates() -> None:
    trial = trial_of(setting_of(VARIANT, 8, 2), (1.0, 3.0))
    assert (trial.backend, trial.batch_size, trial.streams) == ("openvino/float32", 8, 2)
    assert trial.images_per_s == Rounds((1.0, 3.0))
