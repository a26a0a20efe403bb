"""What kind of machine this is."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from birdcli.host import cpu_features, library_versions, usable_cpus

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture


def test_features_that_change_answers_are_told_and_no_others(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name : secret host\nflags\t\t: fpu avx2 avx512f hypervisor\n")
    assert cpu_features(cpuinfo) == f"{platform.machine().lower()}:avx2,avx512f"


def test_a_system_that_does_not_tell_gives_the_architecture(tmp_path: Path) -> None:
    assert cpu_features(tmp_path / "missing") == platform.machine().lower()


def test_absent_libraries_are_left_out() -> None:
    assert set(library_versions("numpy", "no-such-library")) == {"numpy"}


def test_at_least_one_cpu_is_usable(mocker: MockerFixture) -> None:
    assert usable_cpus() >= 1
    mocker.patch("birdcli.host.os", spec=["cpu_count"]).cpu_count.return_value = None
    assert usable_cpus() == 1


@pytest.mark.parametrize(("limit", "cpus"), [(1, 1), (3, 3), (64, 8), (None, 8)])
def test_a_container_uses_no_more_cpus_than_it_has_time_on(
    mocker: MockerFixture, limit: int | None, cpus: int
) -> None:
    host = mocker.patch("birdcli.host.os", spec=["sched_getaffinity"])
    host.sched_getaffinity.return_value = set(range(8))
    mocker.patch("birdcli.host.cpu_limit", return_value=limit)
    assert usable_cpus() == cpus
