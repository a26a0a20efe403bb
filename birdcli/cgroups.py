"""The CPU limit that control groups (containers, systemd) put on this process."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def cpu_limit(process: Path = Path("/proc/self")) -> int | None:
    """Returns how many CPUs' worth of time this process may use, rounded up; None for no limit.

    Args:
        process: The folder of the process in procfs.

    Source:
        The smallest quota of the process's group and the groups around it, as far as they can be
        seen: `cpu.max` (version 2) and `cpu.cfs_quota_us` (version 1).
    """
    limits = [
        limit
        for folder in _iter_folders(_text(process / "cgroup"), _text(process / "mountinfo"))
        if (limit := _limit_of(folder)) is not None
    ]
    return min(limits, default=None)


def _iter_folders(groups: str, mounts: str) -> Iterator[Path]:
    """Yields the folders of the groups that may limit CPU time, each before the one around it."""
    paths: dict[str, str] = {}  # of the group in the hierarchy of each version
    for line in groups.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            paths["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            paths["cgroup"] = path
    for line in mounts.splitlines():
        mount, _, source = line.partition(" - ")
        fields, (kind, _, options) = mount.split(), source.partition(" ")
        if kind not in paths or len(fields) < 5:
            continue
        if kind == "cgroup" and "cpu" not in options.rpartition(" ")[2].split(","):
            continue
        top = Path(fields[4])
        # A container sees its own group mounted as if it were the root.
        below = _relative(paths[kind], fields[3])
        yield from (top / folder for folder in (below, *below.parents))


def _relative(path: str, root: str) -> PurePosixPath:
    group = PurePosixPath(path)
    if ".." in group.parts or not group.is_relative_to(root):
        return PurePosixPath()
    return group.relative_to(root)


def _limit_of(folder: Path) -> int | None:
    quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    if not period:
        quota = _text(folder / "cpu.cfs_quota_us").strip()
        period = _text(folder / "cpu.cfs_period_us").strip()
    if not (quota.isdecimal() and period.isdecimal() and int(period)):  # `max`, -1 or not there
        return None
    return max(1, -(-int(quota) // int(period)))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
