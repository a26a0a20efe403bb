"""Results as a run of all sections leaves them, with numbers that are easy to follow."""

from __future__ import annotations

from scripts.benchmarking.results import Fact, Results, Section
from scripts.benchmarking.sections.commands import COMMANDS


def section(samples: dict[str, list[float]], **facts: Fact) -> Section:
    """A section with the same provenance as all others."""
    return Section(
        script="python -m scripts.benchmark --sections x",
        commit="0123456789ab",
        machine="Processor, 2 cores, 8 GB",
        python="3.11.7",
        libraries={"tensorflow": "2.21.0"},
        model="aiy-birds-v1@1",
        seed=1,
        at="2026-01-02T03:04:05+00:00",
        took_s=60.0,
        samples=samples,
        facts=facts,
    )


def whole(name: str, wall_s: float, longer_s: float) -> dict[str, list[float]]:
    """Three rounds of one contender over both lists."""
    return {
        f"{name}/wall_s": [wall_s] * 3,
        f"{name}/longer_wall_s": [longer_s] * 3,
        f"{name}/cpu_s": [2 * wall_s] * 3,
        f"{name}/peak_mb": [1000.0] * 3,
    }


def alone(name: str, core_ms: float) -> dict[str, list[float]]:
    """Three rounds of inference alone; a batch of 32 costs the least."""
    return {
        f"{name}/alone/batch{size}_core_ms": [core_ms * factor] * 3
        for size, factor in ((1, 3.0), (8, 1.5), (32, 1.0))
    }


def cold(name: str, seconds: float) -> dict[str, list[float]]:
    """Three rounds of short lists."""
    return {
        f"{name}/1/first_line_s": [seconds] * 3,
        f"{name}/1/wall_s": [seconds + 0.1] * 3,
        f"{name}/10/wall_s": [seconds + 0.2] * 3,
        f"{name}/100/wall_s": [seconds + 0.5] * 3,
        f"{name}/url/first_line_s": [seconds + 0.1] * 3,
        f"{name}/url/wall_s": [seconds + 0.2] * 3,
        f"{name}/1/import_s": [seconds / 2] * 3,
        f"{name}/1/model_s": [seconds / 8] * 3,
        f"{name}/1/first_batch_s": [seconds / 16] * 3,
    }


def all_results() -> Results:
    """Every section: 600 photos, TensorFlow at 200 images/s, `fast` at 300, the bound at 400."""
    variants = ("tensorflow/reference", "tensorflow/float32", "openvino/bfloat16")
    return Results(
        sections={
            "commands": section(
                {f"{' '.join(words)}/wall_s": [0.12, 0.1, 0.11] for words in COMMANDS},
                **{f"{' '.join(words)}/imports": "none" for words in COMMANDS},
            ),
            "cold": section(
                {
                    "python/wall_s": [0.01] * 3,
                    "cli/wall_s": [0.11] * 3,
                    **cold("tensorflow", 3.2),
                    **cold("openvino", 0.8),
                    "keras/1/first_line_s": [4.0] * 3,
                    "keras/1/wall_s": [5.0] * 3,
                    "original/url/first_line_s": [4.5] * 3,
                }
            ),
            "disk": section(
                {
                    **whole("tensorflow", 6.0, 12.0),
                    **whole("openvino", 2.5, 6.5),
                    **whole("keras", 14.0, 34.0),
                    **whole("threads", 16.0, 40.0),
                    **alone("tensorflow", 4.0),
                    **alone("openvino", 2.0),
                    "decode/core_ms": [3.0] * 3,
                    "entropy/core_ms": [2.0] * 3,
                },
                photos=600, times=3, photo_kb=260.0,
            ),
            "http": section(
                {
                    key: values
                    for engine, base in (("tensorflow", 6.0), ("openvino", 2.5))
                    for name in ("disk", "http0", "http0-64", "http100-64")
                    for key, values in whole(f"{engine}/{name}", base, base + 5.0).items()
                }
                | {
                    "tensorflow/urls/wall_s": [4.0] * 3,
                    "openvino/urls/wall_s": [1.0] * 3,
                    "original/one_wall_s": [5.0] * 3,
                    "original/wall_s": [14.0] * 3,
                    "img2dataset/wall_s": [7.5] * 3,
                },
                photos=600, times=3, urls=100, original_urls=10, server_core_ms=0.2,
            ),
            "engines": section(
                {
                    key: values
                    for name in variants
                    for key, values in (whole(name, 5.0, 11.0) | alone(name, 5.0)).items()
                },
                photos=600, times=3, variants=",".join(variants),
            ),
            "scaling": section(
                {
                    key: values
                    for name in ("tensorflow", "openvino")
                    for setting, rate in (
                        ("--batch-size 1", 100), ("--batch-size 8", 300), ("--threads 1", 160),
                        ("--threads 2", 300), ("--per-host 8", 80), ("--per-host 64", 280),
                    )
                    for key, values in whole(
                        f"{name}/{setting}", 3.0, 3.0 + 1200 / rate
                    ).items()
                },
                photos=600, times=3, latency_ms=100, threads=2,
            ),
            "large": section(
                {"ours/core_ms": [36.0], "entropy/core_ms": [33.0], "full/core_ms": [290.0],
                 "openvino/wall_s": [3.0], "openvino/cpu_s": [5.0]},
                megapixels=24.0, photo_mb=5.0, photos=96,
            ),
            "memory": section(
                {
                    f"{name}/{length}/peak_mb": [peak]
                    for name in ("tensorflow", "openvino")
                    for length, peak in ((1000, 900.0), (100_000, 930.0))
                },
                short=1000, long=100_000, width=320, height=240,
            ),
            "agreement": section(
                {},
                views=244, clear=230, labelled=50, variants=",".join(variants),
                **{f"{name}/{key}": value for name in variants for key, value in (
                    ("same", 240), ("clear_same", 229), ("right", 46),
                    ("other", "a.jpg: Pica pica instead of Pica nuttalli (6.0 quanta)"))},
            ),
            "tests": section({"wall_s": [360.0]}, closing="1600 passed"),
        }
    )  # fmt: skip
