from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from scripts.benchmarking import derived
from scripts.benchmarking.goals import Goal, iter_goals
from scripts.benchmarking.markdown import duration, spread, three
from scripts.benchmarking.plots import PLOTS, write_plots
from scripts.benchmarking.process import ROOT
from scripts.benchmarking.report import RESULTS_FILE, report_lines, write_report
from scripts.benchmarking.results import Results, load_results, save_results
from tests.unit.benchmarking.synthetic_results import all_results

if TYPE_CHECKING:
    from pathlib import Path


def goal(results: Results, words: str) -> Goal:
    (found,) = (it for it in iter_goals(results) if words in it.what)
    return found


def only(*names: str) -> Results:
    everything = all_results().sections
    return Results(sections={name: everything[name] for name in names})


def test_the_report_of_the_repository_is_what_its_results_say() -> None:
    results = load_results(ROOT / RESULTS_FILE)
    assert (ROOT / "BENCHMARK.md").read_text() == "\n".join(report_lines(results))


def test_a_whole_report_has_no_number_that_is_none() -> None:
    text = "\n".join(report_lines(all_results()))
    assert "nan" not in text.lower()
    assert "not measured" not in text


@pytest.mark.parametrize("name", all_results().sections)
def test_a_single_section_makes_a_report(name: str) -> None:
    lines = report_lines(only(name))
    assert lines[0] == "# Execution times"
    assert "nan" not in "\n".join(lines)


def test_every_number_of_the_report_has_its_commit_and_seed() -> None:
    text = "\n".join(report_lines(all_results()))
    assert text.count("| `0123456789ab` | 1 |") == len(all_results().sections)


def test_the_same_results_make_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(all_results(), tmp_path / name)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")} for name in "ab"
    )
    assert first == second
    assert len(first) == 2 * len(PLOTS) + 1


def test_plots_are_small_and_have_no_background(tmp_path: Path) -> None:
    assert write_plots(all_results(), tmp_path) == set(PLOTS)
    paths = list(tmp_path.iterdir())
    assert sum(path.stat().st_size for path in paths) < 1_000_000
    assert not any("fill: #ffffff" in path.read_text() for path in paths)


def test_what_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    assert write_plots(only("disk"), tmp_path) == {"throughput", "costs"}


def test_results_survive_being_saved(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "results.json"
    save_results(path, all_results())
    saved = load_results(path)
    assert saved.sections["disk"] == all_results().sections["disk"]
    data = path.read_bytes()
    save_results(path, saved)
    assert path.read_bytes() == data


def test_no_file_holds_no_results(tmp_path: Path) -> None:
    assert load_results(tmp_path / "none.json") == Results(sections={})


def test_rates_leave_the_start_out() -> None:
    disk = all_results().sections["disk"]
    assert derived.rates_after_start(disk, "tensorflow") == [200.0] * 3
    assert derived.start_s(disk, "tensorflow") == 3.0


def test_the_bound_is_decoding_and_the_better_batch_on_all_cores() -> None:
    disk = all_results().sections["disk"]
    costs = derived.costs_of(disk, "openvino", 2)
    assert costs.bound == 400.0
    assert costs.rest == pytest.approx(2000 / 300 - 5)
    assert derived.shares_of_bound(disk, "openvino", 2) == pytest.approx([0.75] * 3)


def test_the_original_loop_is_extended_by_what_each_further_url_takes() -> None:
    http = all_results().sections["http"]
    assert derived.original_s(http, 100) == [104.0] * 3


def test_the_parts_of_a_cold_start_are_the_whole() -> None:
    split = derived.cold_split(all_results().sections["cold"], "openvino")
    assert sum(seconds for _, seconds in split) == pytest.approx(0.8)


def test_a_goal_that_is_missed_says_by_how_much() -> None:
    found = goal(all_results(), "over the bound: `fast`")
    assert found.missed_by == pytest.approx(1 - 0.75 / 0.85)
    assert found.cells()[-1] == "**missed by 12%**"


def test_limits_are_met_from_below() -> None:
    found = goal(all_results(), "one photo, cold")
    assert (found.found, found.missed_by, found.cells()[-1]) == (0.8, 0.0, "met")
    over = msgspec.structs.replace  # a limit that is passed
    cold = all_results().sections["cold"]
    slower = over(cold, samples={**cold.samples, "openvino/1/first_line_s": [1.2] * 3})
    assert goal(Results(sections={"cold": slower}), "one photo, cold").missed_by == pytest.approx(
        0.5
    )


def test_memory_is_compared_over_the_length_of_the_list() -> None:
    assert goal(all_results(), "lines: `fast`").found == 30.0


def test_every_goal_of_the_task_is_in_the_table() -> None:
    assert len(list(iter_goals(all_results()))) == 22


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.01234, "0.012"),
        (0.5, "0.500"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
        (math.nan, "-"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert three(value) == text


def test_one_value_has_no_range() -> None:
    assert spread([2.0]) == "2.00"
    assert spread([3.0, 1.0, 2.0], strong=True) == "**2.00** (1.00 to 3.00)"
    assert spread([]) == "-"


def test_times_are_said_as_people_say_them() -> None:
    assert [duration(s) for s in (90, 600, 36_000)] == ["90.0 s", "10.0 min", "10.0 h"]
