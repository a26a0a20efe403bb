"""What kind of machine this is, as far as answers depend on it."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from birdcli.cgroups import cpu_limit

# The features that choose other kernels, and with them other rounding.
# fmt: off
_FEATURES = frozenset({
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "asimd",
    "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2",
})
# fmt: on


def cpu_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Returns the architecture and its vector features, such as `x86_64:avx,avx2,fma`.

    Systems that do not tell (macOS, Windows) give the architecture alone.
    """
    try:
        text = cpuinfo.read_text(errors="replace")
    except OSError:
        text = ""
    flags: set[str] = set()
    for line in text.splitlines():
        if line.lower().startswith(("flags", "features")):
            flags.update(line.partition(":")[2].split())
            break
    return f"{platform.machine().lower()}:{','.join(sorted(flags & _FEATURES))}".rstrip(":")


def has_bfloat16(features: str) -> bool:
    """Tells whether a processor computes in bfloat16, by what `cpu_features` says of it."""
    architecture, _, found = features.partition(":")
    names = {"x86_64": {"avx512_bf16", "amx_bf16"}, "amd64": {"avx512_bf16", "amx_bf16"}}
    return bool(names.get(architecture, set()) & set(found.split(",")))


def library_versions(*names: str) -> dict[str, str]:
    """Returns the installed versions of distributions, without importing them; absent ones not."""
    versions: dict[str, str] = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def usable_cpus() -> int:
    """Returns the number of CPUs this process may use, at least 1.

    Both its affinity and the limits of its control groups count: a container may have 64 CPUs to
    run on and the time of one.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(count for count in (cpus or 1, cpu_limit()) if count is not None)
