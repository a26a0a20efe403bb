"""What was fastest here, remembered between runs."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from birdcli import __version__
from birdcli.errors import ErrorCode, OutputError
from birdcli.models.engines import EngineName, Machine
from birdcli.models.variants import Variant
from birdcli.registry import load_builtin_manifest
from birdcli.tuning import (
    TUNING_FILE,
    Setting,
    Tuning,
    TuningKey,
    best_setting,
    find_tuning,
    load_tunings,
    remember_tuning,
    tuning_key,
    with_tuning,
)

if TYPE_CHECKING:
    from pathlib import Path

KEY = TuningKey(host="x86_64:avx2", cpus=2, model="d1", versions={"openvino": "1"})
SLOW = Setting(engine=EngineName.OPENVINO, precision="float32", batch_size=8, streams=2)
FAST = Setting(engine=EngineName.TENSORFLOW, precision="bfloat16", batch_size=32, streams=1)


def tuning(key: TuningKey = KEY, setting: Setting = FAST) -> Tuning:
    return Tuning(
        key=key,
        name="birds@1",
        setting=setting,
        images_per_s=200.0,
        default_images_per_s=100.0,
        at="2026-01-01T00:00:00+00:00",
    )


def other_key(**changes: object) -> TuningKey:
    return msgspec.structs.replace(KEY, **changes)


def test_what_is_remembered_is_found_again(tmp_path: Path) -> None:
    remember_tuning(tmp_path / "new", tuning())
    assert find_tuning(load_tunings(tmp_path / "new"), KEY) == tuning()


@pytest.mark.parametrize(
    "key",
    [
        other_key(host="x86_64"),
        other_key(cpus=1),
        other_key(model="d2"),
        other_key(versions={"openvino": "2"}),
        other_key(versions={"openvino": "1", "tensorflow": "2"}),
    ],
)
def test_another_host_model_or_library_has_no_tuning(key: TuningKey) -> None:
    assert find_tuning([tuning()], key) is None


def test_a_key_names_model_cpus_and_versions_of_everything() -> None:
    version = load_builtin_manifest().versions[0]
    machine = Machine(host="arm64", versions={"numpy": "2"})
    key = tuning_key(version, machine, cpus=3)
    assert (key.host, key.cpus, key.model) == ("arm64", 3, version.digest)
    assert key.versions == {"numpy": "2", "birdcli": __version__}


def test_a_new_measurement_replaces_that_of_older_libraries_alone() -> None:
    elsewhere = tuning(other_key(host="arm64"))
    new = tuning(other_key(versions={"openvino": "2"}), SLOW)
    assert with_tuning([tuning(), elsewhere], new) == (elsewhere, new)


def test_the_setting_names_its_variant() -> None:
    assert FAST.variant == Variant(engine=EngineName.TENSORFLOW, precision="bfloat16")


def test_without_a_file_nothing_is_remembered_and_nobody_warned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_tunings(tmp_path) == ()
    assert caplog.text == ""


def broken_files() -> dict[str, bytes]:
    """Files that are no tunings of ours."""
    whole = json.loads(msgspec.json.encode({"schema": 1, "tunings": [tuning()]}))
    zero = json.loads(json.dumps(whole))
    zero["tunings"][0]["setting"]["batch_size"] = 0
    alien = json.loads(json.dumps(whole))
    alien["tunings"][0]["setting"]["engine"] = "onnx"
    return {
        "cut": json.dumps(whole).encode()[:-9],
        "not UTF-8": b'{"schema":1,"tunings":[{"name":"\xff"}]}',
        "newer": b'{"schema":2,"tunings":[]}',
        "batch of 0": json.dumps(zero).encode(),
        "unknown engine": json.dumps(alien).encode(),
        "large": b" " * 1_000_001,
    }


@pytest.mark.parametrize("name", broken_files())
def test_a_broken_file_costs_one_warning(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / TUNING_FILE).write_bytes(broken_files()[name])
    with caplog.at_level(logging.WARNING):
        assert load_tunings(tmp_path) == ()
    (record,) = caplog.records
    assert "bench --tune makes it anew" in record.getMessage()


def test_a_folder_in_its_place_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / TUNING_FILE).mkdir()
    assert load_tunings(tmp_path) == ()
    assert len(caplog.records) == 1


def test_a_broken_file_is_replaced_by_the_next_measurement(tmp_path: Path) -> None:
    (tmp_path / TUNING_FILE).write_bytes(b"{")
    remember_tuning(tmp_path, tuning())
    assert load_tunings(tmp_path) == (tuning(),)


def test_a_home_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(OutputError) as caught:
        remember_tuning(tmp_path / "home", tuning())
    assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE


@pytest.mark.parametrize(
    ("default", "other", "chosen"),
    [
        ([100, 101, 102], [120, 121, 122], FAST),
        ([100, 101, 102], [101, 102, 103], SLOW),  # by 1 %
        ([100, 101, 102], [99, 130, 131], SLOW),  # not in every round
        ([100, 101, 102], [80, 81, 82], SLOW),
        ([100, 140, 100], [110, 150, 110], FAST),  # a slow host slows both
        ([100, 101, 102, 103], [120, 121, 122, 123], FAST),
    ],
)
def test_only_what_is_faster_by_more_than_the_noise_is_chosen(
    default: list[float], other: list[float], chosen: Setting
) -> None:
    assert best_setting({SLOW: default, FAST: other}, default=SLOW) == chosen


def test_the_fastest_of_several_is_chosen() -> None:
    faster = msgspec.structs.replace(FAST, batch_size=64)
    rates = {SLOW: [100.0], FAST: [120.0], faster: [130.0]}
    assert best_setting(rates, default=SLOW) == faster


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_pipe_is_not_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(tmp_path / TUNING_FILE)
    assert load_tunings(tmp_path) == ()
    assert "no regular file" in caplog.text
