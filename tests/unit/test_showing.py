"""What others wrote into a registry is shown, and never obeyed by the terminal."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from birdcli.cli.history_rows import history_cells
from birdcli.cli.showing import version_lines
from birdcli.cli.tables import print_table
from birdcli.model_version import FileEntry, LabelsSpec, ModelFormat, ModelVersion, NamesSpec

if TYPE_CHECKING:
    from birdcli.cli.history_rows import Row

EVIL = "a\x1b]0;title\x07\nstate       promoted\u202e"
SEEN = r"a\x1b]0;title\x07\nstate       promoted\u202e"


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(**fields: object) -> list[str]:
    version = ModelVersion(
        name="birds",
        version="1",
        format=ModelFormat.SAVED_MODEL,
        labels=LabelsSpec(path="labels.csv", source=EVIL),
        **fields,  # type: ignore[arg-type]
    )
    return version_lines(version, {"state": "installed", "aliases": []}, ())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"provenance": {EVIL: EVIL}},
        {"licence": EVIL},
        {"limits": EVIL},
        {"sources": (EVIL,)},
        {"signature": EVIL},
        {"names": NamesSpec(path=EVIL, source=EVIL)},
    ],
    ids=str,
)
def test_show_shows_controls_of_others(fields: dict[str, object]) -> None:
    lines = shown(**fields)
    assert all(line.isprintable() for line in lines)
    assert sum(line.startswith("state ") for line in lines) == 1
    assert f"from {SEEN}" in "\n".join(lines)


def history_row() -> Row:
    return {
        "at": "2026-01-02T03:04:05",
        "who": EVIL,
        "action": "promote",
        "model": "birds@1",
        "alias": "production",
        "from": None,
        "note": EVIL,
        "evaluations": None,
    }


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_table_shows_controls_of_others(
    stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = stream()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TERM", "xterm")
    print_table(("When", "Who", "What", "Note"), history_cells([history_row()]))
    text = out.getvalue()
    assert text.count(SEEN) == 2
    assert "\x07" not in text
    assert "\x1b]" not in text  # rich's own begin otherwise


def test_a_narrow_terminal_gets_digests_and_paths_on_lines_of_their_own() -> None:
    version = ModelVersion(
        name="birds",
        version="1",
        format=ModelFormat.SAVED_MODEL,
        labels=LabelsSpec(path="labels.csv", sha256="ab" * 32),
        limits="one bird per picture, " * 9,
        files=(FileEntry(path="module/saved_model.pb", bytes=1234, sha256="cd" * 32),),
    )
    fields: Row = {"state": "installed", "aliases": []}
    narrow = version_lines(version, fields, (), width=80)
    assert max(map(len, narrow)) <= 80
    assert "files       module/saved_model.pb  1,234 bytes" in narrow
    assert f"{'':14}{'cd' * 32}" in narrow
    wide = version_lines(version, fields, ())
    assert f"files       {'cd' * 32}  1,234  module/saved_model.pb" in wide
