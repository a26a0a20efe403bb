"""CPU limits of control groups, read from fake trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from birdcli.cgroups import cpu_limit

if TYPE_CHECKING:
    from pathlib import Path


class Host:
    """A process with its groups in a folder."""

    def __init__(self, folder: Path) -> None:
        self.process = folder / "proc"
        self.process.mkdir()
        self.mounted = folder / "sys"
        self.mounts: list[str] = ["22 1 0:20 / /proc rw - proc proc rw"]

    def belongs_to(self, *groups: str) -> None:
        (self.process / "cgroup").write_text("".join(f"{line}\n" for line in groups))

    def mount(self, name: str, kind: str, *, root: str = "/", options: str = "rw") -> None:
        self.mounts.append(
            f"31 22 0:27 {root} {self.mounted / name} rw,nosuid shared:9 - {kind} {kind} {options}"
        )
        (self.process / "mountinfo").write_text("\n".join(self.mounts) + "\n")

    def write(self, path: str, text: str) -> None:
        file = self.mounted / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize(
    ("quota", "limit"),
    [
        ("100000 100000", 1),
        ("250000 100000", 3),
        ("1000 100000", 1),
        ("400000 50000", 8),
        ("max 100000", None),
        ("max", None),
        ("", None),
        ("100000 0", None),
        ("nonsense 100000", None),
    ],
)
def test_the_quota_of_the_own_group_is_rounded_up(
    host: Host, quota: str, limit: int | None
) -> None:
    host.belongs_to("0::/work.slice")
    host.mount("fs", "cgroup2")
    host.write("fs/work.slice/cpu.max", quota)
    assert cpu_limit(host.process) == limit


def test_a_group_around_it_may_allow_less(host: Host) -> None:
    host.belongs_to("0::/a/b/c")
    host.mount("fs", "cgroup2")
    host.write("fs/a/cpu.max", "200000 100000")
    host.write("fs/a/b/cpu.max", "900000 100000")
    host.write("fs/a/b/c/cpu.max", "max 100000")
    assert cpu_limit(host.process) == 2


def test_a_container_sees_its_group_as_the_root(host: Host) -> None:
    host.belongs_to("0::/")
    host.mount("fs", "cgroup2")
    host.write("fs/cpu.max", "100000 100000")
    assert cpu_limit(host.process) == 1


@pytest.mark.parametrize("path", ["/docker/1234", "/elsewhere", "/../sibling"])
def test_a_container_that_knows_its_real_group_reads_what_is_mounted(host: Host, path: str) -> None:
    host.belongs_to(f"0::{path}")
    host.mount("fs", "cgroup2", root="/docker/1234")
    host.write("fs/cpu.max", "300000 100000")
    assert cpu_limit(host.process) == 3


def test_quotas_of_version_1_count(host: Host) -> None:
    host.belongs_to("4:memory:/m", "3:cpu,cpuacct:/docker/1", "1:name=systemd:/x", "0::/")
    host.mount("memory", "cgroup", options="rw,memory")
    host.mount("cpu", "cgroup", options="rw,cpu,cpuacct")
    host.write("memory/m/cpu.cfs_quota_us", "1000")
    host.write("memory/m/cpu.cfs_period_us", "1000")
    host.write("cpu/docker/1/cpu.cfs_quota_us", "150000")
    host.write("cpu/docker/1/cpu.cfs_period_us", "100000")
    assert cpu_limit(host.process) == 2


def test_no_quota_of_version_1_is_no_limit(host: Host) -> None:
    host.belongs_to("3:cpu:/")
    host.mount("cpu", "cgroup", options="rw,cpu")
    host.write("cpu/cpu.cfs_quota_us", "-1")
    host.write("cpu/cpu.cfs_period_us", "100000")
    assert cpu_limit(host.process) is None


@pytest.mark.parametrize(
    ("groups", "mounts"),
    [("", ""), ("0::/a\n", "garbage\n1 2 - cgroup2\n"), ("\n:::\n0\n", "\n - \n")],
)
def test_files_that_make_no_sense_are_no_limit(host: Host, groups: str, mounts: str) -> None:
    (host.process / "cgroup").write_text(groups)
    (host.process / "mountinfo").write_text(mounts)
    assert cpu_limit(host.process) is None


def test_systems_without_groups_have_no_limit(tmp_path: Path) -> None:
    assert cpu_limit(tmp_path / "missing") is None
