"""Answers side by side, for terminals, pipes and programs."""

from __future__ import annotations

import io
import json

import pytest
from rich.cells import cell_len
from rich.console import Console

from birdcli.cli.comparison import (
    Change,
    Comparison,
    change_of,
    comparison_fields,
    comparison_text,
)
from birdcli.errors import ErrorCode
from birdcli.evaluation import EvaluationRun, grade
from birdcli.items import ErrorInfo, Prediction
from birdcli.labelled_photos import LabelledPhoto, PhotoList
from birdcli.labels import LabelSet

RAVEN = Prediction(class_id=1, label="Corvus corax", common_name="Common Raven", score=0.91234567)
CROW = Prediction(class_id=0, label="Corvus brachyrhynchos", common_name=None, score=0.0834)
LABELS = LabelSet(labels=(CROW.label, RAVEN.label), common_names=(None, RAVEN.common_name))
BROKEN = ErrorInfo(code=ErrorCode.DECODE_CORRUPT, message="the JPEG file is damaged")
HOSTILE = "p/[/red]\x1b[31m\n\udce9.jpg"


@pytest.fixture(autouse=True)
def _ordinary_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def console(width: int = 80, *, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal)


def comparison(*sources: str) -> Comparison:
    """Photos that are unchanged, changed and failed, in turn."""
    names = sources or ("a.jpg", "b.jpg", "c.jpg")
    return Comparison(
        models=("birds@1", "birds@2"),
        sources=names,
        answers=(
            ((RAVEN, CROW), (RAVEN, CROW), (RAVEN, CROW))[: len(names)],
            ((RAVEN, CROW), (CROW, RAVEN), BROKEN)[: len(names)],
        ),
        evaluation=None,
    )


def labelled() -> Comparison:
    plain = comparison()
    photos = PhotoList(
        photos=tuple(
            LabelledPhoto(source=name, path=name, species="Common Raven") for name in plain.sources
        ),
        sha256="5" * 64,
    )
    before, after = plain.answers
    return Comparison(
        models=plain.models,
        sources=plain.sources,
        answers=plain.answers,
        evaluation=EvaluationRun(
            photos=photos,
            candidate=grade("birds@2", LABELS, photos, after),
            production=grade("birds@1", LABELS, photos, before),
        ),
    )


def test_a_pipe_gets_changed_and_failed_photos_and_a_summary() -> None:
    assert comparison_text(comparison(), console(), everything=False).splitlines() == [
        "Photo  birds@1              birds@2",
        "b.jpg  Common Raven  91.2%  Corvus brachyrhynchos  8.3%",
        "c.jpg  Common Raven  91.2%  ✗ decode.corrupt",
        "",
        "3 photos: 1 changed, 1 unchanged, 1 failed",
        "",
        "1 photo gave no answer:",
        "  c.jpg  decode.corrupt  the JPEG file is damaged",
    ]


def test_all_shows_unchanged_photos_and_what_became_of_each() -> None:
    lines = comparison_text(comparison(), console(), everything=True).splitlines()
    assert [line.split()[-1] for line in lines[:4]] == ["Change", "unchanged", "changed", "failed"]


def test_nothing_changed_is_the_summary_alone() -> None:
    text = comparison_text(comparison("a.jpg"), console(), everything=False)
    assert text == "1 photo: 0 changed, 1 unchanged, 0 failed"


def test_nothing_is_cut_in_a_pipe() -> None:
    path = "a/long/way/" * 30 + "b.jpg"
    assert path in comparison_text(comparison("a.jpg", path), console(), everything=False)


@pytest.mark.parametrize("width", [80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    path = "a/long/way/" * 30 + "鳥 b.jpg"
    plain = console(width, terminal=True)
    plain.no_color = True
    text = comparison_text(comparison("a.jpg", path, path), plain, everything=True)
    for code in ("\x1b[1;4m", "\x1b[2m", "\x1b[0m"):
        text = text.replace(code, "")
    assert width - 10 < max(cell_len(line) for line in text.splitlines()) <= width


def test_a_terminal_gets_an_underlined_header_and_unchanged_rows_dim() -> None:
    text = comparison_text(comparison(), console(terminal=True), everything=True)
    header, unchanged, changed, *_ = text.splitlines()
    assert header.startswith("\x1b[1;4m")
    assert unchanged.startswith("\x1b[2m")
    assert "\x1b" not in changed


@pytest.mark.parametrize("terminal", [True, False])
def test_names_of_files_are_neither_markup_nor_obeyed(*, terminal: bool) -> None:
    text = comparison_text(
        comparison("a.jpg", HOSTILE), console(terminal=terminal), everything=False
    )
    assert r"p/[/red]\x1b[31m\n\xe9.jpg" in text
    assert "\x1b[31m" not in text


def test_characters_that_stdout_lacks_are_replaced() -> None:
    ascii_console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"), width=80)
    text = comparison_text(comparison("a.jpg", "鳥.jpg"), ascii_console, everything=False)
    assert "?.jpg" in text
    assert text.isascii()


def test_an_evaluation_follows_the_summary() -> None:
    text = comparison_text(labelled(), console(), everything=False)
    assert "\n\nbirds@2 against birds@1 on 3 photos\n" in text
    assert text.count("c.jpg  decode.corrupt") == 1


def test_json_holds_everything() -> None:
    fields = json.loads(json.dumps(comparison_fields(labelled())))
    assert fields["schema"] == 1
    assert fields["models"] == {"a": "birds@1", "b": "birds@2"}
    assert fields["summary"] == {"photos": 3, "changed": 1, "unchanged": 1, "failed": 1}
    assert fields["photos"][1] == {
        "photo": "b.jpg",
        "species": "Common Raven",
        "change": "changed",
        "a": {
            "predictions": [
                {"rank": 1, "class_id": 1, "label": "Corvus corax", "common_name": "Common Raven",
                 "score": 0.912346},
                {"rank": 2, "class_id": 0, "label": "Corvus brachyrhynchos", "common_name": None,
                 "score": 0.0834},
            ]
        },
        "b": {
            "predictions": [
                {"rank": 1, "class_id": 0, "label": "Corvus brachyrhynchos", "common_name": None,
                 "score": 0.0834},
                {"rank": 2, "class_id": 1, "label": "Corvus corax", "common_name": "Common Raven",
                 "score": 0.912346},
            ]
        },
    }  # fmt: skip
    assert fields["photos"][2]["b"]["error"]["code"] == "decode.corrupt"
    evaluation = fields["evaluation"]
    assert evaluation["a"]["top1"] == 3
    assert evaluation["b"] | {"top1_interval": None, "top3_interval": None} == {
        "model": "birds@2", "sha256": "5" * 64, "photos": 3, "top1": 1, "top3": 2, "failed": 1,
        "unknown": 0, "top1_interval": None, "top3_interval": None, "unknown_species": [],
    }  # fmt: skip
    assert evaluation["b"]["top1_interval"] == pytest.approx([0.0615, 0.7923], abs=1e-4)
    assert evaluation["top1"] == {"lost": [1, 2], "won": [], "mcnemar_p": 0.5}
    assert evaluation["top3"] == {"lost": [2], "won": [], "mcnemar_p": 1.0}


def test_json_without_labels_has_neither_species_nor_evaluation() -> None:
    fields = comparison_fields(comparison("a.jpg", HOSTILE))
    assert fields["evaluation"] is None
    photos = json.loads(json.dumps(fields))["photos"]
    assert list(photos[1]) == ["photo", "change", "a", "b"]
    assert photos[1]["photo"] == "p/[/red]\x1b[31m\n\\xe9.jpg"


def test_answers_of_different_label_sets_are_the_same_by_english_name() -> None:
    other = Prediction(class_id=7, label="raven", common_name="common raven", score=0.2)
    assert change_of((RAVEN,), (other,)) is Change.UNCHANGED
    assert change_of((CROW,), (other,)) is Change.CHANGED
    assert change_of((RAVEN,), BROKEN) is Change.FAILED
    assert change_of(BROKEN, BROKEN) is Change.FAILED
