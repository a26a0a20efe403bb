"""The table for people, at any width and for any name."""

from __future__ import annotations

import io
import os
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from birdcli.errors import ErrorCode, OutputError
from birdcli.items import ImageRef, Outcome, Prediction, SourceKind
from birdcli.table import (
    TableWriter,
    console_on,
    cut,
    doubt_rows,
    header_row,
    outcome_row,
    picture_name,
    plan_layout,
    shortened,
)
from tests.unit.test_record import BACKGROUND, CROW, RAVEN, classified, failed, ref

if TYPE_CHECKING:
    from birdcli.writer import OutcomeWriter

SWALLOW = Prediction(
    class_id=5,
    label="Stelgidopteryx serripennis",
    common_name="Northern Rough-winged Swallow",
    score=0.412,
)


@pytest.fixture(autouse=True)
def _ordinary_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


class KeptTarget(io.BytesIO):
    """Keeps what was written after it is closed."""

    kept = b""

    def close(self) -> None:
        if not self.closed:
            self.kept = self.getvalue()
        super().close()


def plain_console(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=False)


def rendered(console: Console, *outcomes: Outcome, top_k: int = 3) -> str:
    target = KeptTarget()
    writer: OutcomeWriter = TableWriter(console, target, top_k=top_k)
    for outcome in outcomes:
        writer.write([writer.encode(outcome)])
    writer.close()
    return target.kept.decode(console.encoding)


def lines_at(width: int, *outcomes: Outcome, top_k: int = 3) -> list[str]:
    return rendered(plain_console(width), *outcomes, top_k=top_k).splitlines()


def test_row_at_80_columns_has_both_names_and_the_score() -> None:
    header, row = lines_at(80, classified("photos/IMG_1.jpg"))
    assert header.split() == ["Picture", "Bird", "Score"]
    assert row == (
        "IMG_1.jpg               American Crow  Corvus brachyrhynchos               95.3%"
    )


def test_row_at_200_columns_has_the_further_guesses() -> None:
    header, row = lines_at(200, classified("photos/IMG_1.jpg"))
    assert header.split() == ["Picture", "Bird", "Score", "Guess", "2", "Guess", "3"]
    assert row.split() == [
        *("IMG_1.jpg", "American", "Crow", "Corvus", "brachyrhynchos", "95.3%"),
        *("Common", "Raven", "2.1%", "no", "bird", "1.0%"),
    ]


def test_table_ends_in_the_same_column_in_every_row() -> None:
    lines = lines_at(80, classified("a.jpg"), classified("鳥.jpg", predictions=(SWALLOW,)))
    assert {cell_len(line) for line in lines} == {80}


def test_run_with_one_guess_has_no_further_columns() -> None:
    header, row = lines_at(200, classified(predictions=(CROW,)), top_k=1)
    assert "Guess" not in header
    assert row.endswith("95.3%")


def test_answer_with_fewer_guesses_than_columns_ends_early() -> None:
    _, row = lines_at(200, classified(predictions=(CROW, RAVEN)))
    assert row.endswith("2.1%")


@pytest.mark.parametrize(
    ("width", "bird"),
    [
        (120, "Northern Rough-winged Swallow  Stelgidopteryx serripennis"),
        (80, "Northern Rough-winged Swallow  S. serripennis"),
        (60, "Northern Rough-winged Swallow"),
        (40, "Northern Rough-wi…"),
    ],
)
def test_scientific_name_gives_way_first(width: int, bird: str) -> None:
    _, row = lines_at(width, classified("a.jpg", predictions=(SWALLOW,)), top_k=1)
    assert row.removeprefix("a.jpg").removesuffix("41.2%").strip() == bird


def test_scientific_name_of_one_word_is_not_abbreviated() -> None:
    gull = Prediction(class_id=1, label="L" * 40, common_name="Gull", score=0.5)
    _, row = lines_at(60, classified(predictions=(gull,)))
    assert row.split() == ["crow.jpg", "Gull", "50.0%"]


def test_bird_without_an_english_name_has_its_scientific_one() -> None:
    junco = Prediction(class_id=1, label="Junco hyemalis", common_name=None, score=0.5)
    _, row = lines_at(80, classified(predictions=(junco,)))
    assert row.split() == ["crow.jpg", "Junco", "hyemalis", "50.0%"]


def test_background_is_no_bird() -> None:
    _, row = lines_at(80, classified(predictions=(BACKGROUND,)))
    assert row.split() == ["crow.jpg", "no", "bird", "1.0%"]


def test_failure_has_its_code_and_message() -> None:
    _, row = lines_at(80, failed("https://example.org/b.jpg"))
    assert row == "example.org/b.jpg       ✗ fetch.http_status  HTTP 404 Not Found"


def test_failure_is_cut_at_the_width() -> None:
    _, row = lines_at(80, failed(message="word " * 100))
    assert cell_len(row) <= 80
    assert row.endswith("…")


def test_failure_on_a_narrow_terminal_is_its_code() -> None:
    _, row = lines_at(40, failed("b.jpg", ErrorCode.FETCH_BLOCKED_ADDRESS))
    assert row == "b.jpg         ✗ fetch.blocked_address"


def test_failure_with_the_longest_code_fits_the_narrowest_table() -> None:
    longest = max(ErrorCode, key=len)
    _, row = lines_at(40, failed("b.jpg", longest))
    assert cell_len(row) <= 40


def test_header_comes_once_and_first() -> None:
    lines = lines_at(80, classified(), failed(), classified())
    assert [line.startswith("Picture") for line in lines] == [True, False, False, False]


def test_run_without_outcomes_prints_nothing() -> None:
    assert lines_at(80) == []


def test_row_is_there_before_the_next_comes() -> None:
    target = KeptTarget()
    writer = TableWriter(plain_console(80), target, top_k=3)
    writer.write([writer.encode(classified())])
    assert target.getvalue().count(b"\n") == 2
    writer.close()


def test_table_on_a_terminal_ends_with_an_empty_line() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, no_color=True)
    assert rendered(console, classified()).endswith("%\n\n")


def test_colours_change_nothing_but_colours() -> None:
    outcomes: list[Outcome] = [
        classified(),
        failed(),
        classified(predictions=(SWALLOW,)),
        classified(predictions=(BACKGROUND,)),
    ]
    console = Console(
        file=io.StringIO(), width=80, force_terminal=True, color_system="standard", no_color=False
    )
    coloured = rendered(console, *outcomes)
    assert "\x1b[" in coloured
    plain = rendered(plain_console(80), *outcomes)
    assert without_styles(coloured) == plain + "\n"


def without_styles(text: str) -> str:
    """What is left of a text without its style codes."""
    pieces = text.split("\x1b[")
    return pieces[0] + "".join(piece.partition("m")[2] for piece in pieces[1:])


@pytest.mark.parametrize(
    "name",
    ["[/x].jpg", "[red]a.jpg", ":smiley:.jpg", "https---example.org.jpg", "[link=x]y[/link].jpg"],
)
def test_names_are_no_markup(name: str) -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, no_color=True)
    assert name in rendered(console, classified(name), failed(name, message=name))


def test_names_cannot_move_the_cursor_or_break_the_row() -> None:
    lines = lines_at(80, failed("a\x1b[2J\r\n\x9b\u202eb.jpg", message="x\x1b]0;t\x07\ny"))
    assert len(lines) == 2
    assert lines[1].startswith(r"a\x1b[2J\r…\u202eb.jpg")
    assert lines[1].endswith(r"x\x1b]0;t\x07\ny")
    assert not any(character in lines[1] for character in "\x1b\x07\r\x9b\u202e")


def test_letters_the_terminal_lacks_are_replaced() -> None:
    console = Console(
        file=io.TextIOWrapper(io.BytesIO(), encoding="latin-1"), width=80, force_terminal=False
    )
    assert rendered(console, classified("Möwe鳥.jpg")).splitlines()[1].startswith("Möwe?.jpg")


@given(
    st.integers(1, 300),
    st.integers(1, 10),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60),
)
def test_no_row_is_wider_than_the_terminal(width: int, top_k: int, name: str) -> None:
    layout = plan_layout(width, top_k)
    bird = Prediction(class_id=0, label=name or "x", common_name=name or None, score=1.0)
    for outcome in (classified(name, predictions=(bird,) * top_k), failed(name, message=name)):
        assert outcome_row(outcome, layout).cell_len <= max(width, 40)
    assert header_row(layout).cell_len <= max(width, 40)


@pytest.mark.parametrize(("width", "guesses"), [(80, 0), (115, 0), (117, 1), (200, 2)])
def test_further_guesses_come_with_the_width(width: int, guesses: int) -> None:
    assert plan_layout(width, 3).guesses == guesses


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("photos/2024/IMG_1.jpg", "IMG_1.jpg"),
        ("photos/", "photos"),
        ("/", "/"),
        ("a\\b.jpg", "a\\b.jpg"),
        ("\udcff.jpg", r"\xff.jpg"),
        ("https://h.org/American%20Crow.jpg?size=2#x", "h.org/American Crow.jpg"),
        ("https://h.org/photo.php?id=7&token=abc", "h.org/photo.php?id=7&token=***"),
        ("https://h.org/%1b%0a.jpg", r"h.org/\x1b\n.jpg"),
        ("https://user:pw@example.org/", "example.org"),
        ("https://user:pw@example.org", "example.org"),
        ("https://[::1/a.jpg", "https://[::1/a.jpg"),
        ("https://", "https://"),
    ],
)
def test_picture_is_named_by_what_tells_it_apart(source: str, name: str) -> None:
    assert picture_name(ref(source), 40) == name


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("http://127.0.0.1:8000/status/404", "127.0.0…000/status/404"),
        ("https://a.org/photos/8472/medium.jpg", "a.org…/8472/medium.jpg"),
        ("https://a-very-long-host.example.org/1/2/3.jpg", "a-very-….org/1/2/3.jpg"),
        ("photos/IMG_20240517_045512_0001.jpeg", "IMG_202405…2_0001.jpeg"),
    ],
)
def test_long_name_of_a_picture_keeps_host_and_end(source: str, name: str) -> None:
    assert picture_name(ref(source), 22) == name


def test_url_of_any_case_is_named_by_host_and_path() -> None:
    url = ImageRef(index=0, source="HTTPS://example.org/a.jpg", kind=SourceKind.URL)
    assert picture_name(url, 40) == "example.org/a.jpg"


@pytest.mark.parametrize("width", range(2, 30))
def test_name_of_a_picture_is_no_wider_than_its_column(width: int) -> None:
    url = "https://鳥.example.org/photos/鳥の写真東京の散歩春の朝早く.jpg"
    assert cell_len(picture_name(ref(url), width)) <= width


def test_long_name_is_cut_in_the_middle() -> None:
    assert shortened("IMG_20240517_045512_0001.jpeg", 16) == "IMG_202…001.jpeg"


def test_short_name_is_not_cut() -> None:
    assert shortened("IMG_1.jpg", 9) == "IMG_1.jpg"


@pytest.mark.parametrize("width", range(2, 20))
def test_wide_name_is_cut_to_the_width(width: int) -> None:
    assert cell_len(shortened("鳥の写真東京の散歩春の朝早く.jpg", width)) <= width


@pytest.mark.parametrize("width", range(1, 12))
def test_text_is_cut_at_its_end(width: int) -> None:
    text = cut("鳥の写真東京の散歩", width)
    assert cell_len(text) <= width
    assert text.endswith("…")


def test_closed_pipe_ends_the_table_as_an_output_error() -> None:
    reader, pipe = os.pipe()
    os.close(reader)
    writer = TableWriter(plain_console(80), os.fdopen(pipe, "wb", buffering=0), top_k=3)
    with pytest.raises(OutputError) as caught:
        writer.write([writer.encode(classified())])
    assert caught.value.code is ErrorCode.OUTPUT_CLOSED
    assert caught.value.details == (("records", 0),)
    writer.close()


@pytest.mark.parametrize(("columns", "width"), [(123, 123), (0, 80)])
def test_console_is_as_wide_as_its_own_terminal(columns: int, width: int) -> None:
    fcntl = pytest.importorskip("fcntl")
    termios = pytest.importorskip("termios")
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(slave, "w") as file:
        console = console_on(file)
        assert (console.width, console.is_terminal) == (width, True)
    os.close(master)


def test_console_that_is_no_terminal_has_80_columns() -> None:
    console = console_on(io.StringIO())
    assert (console.width, console.is_terminal) == (80, False)


DOUBTFUL = classified(predictions=(SWALLOW, CROW, RAVEN))


def test_weak_answer_on_a_narrow_terminal_has_the_other_guesses_below() -> None:
    layout = plan_layout(80, 3)
    (row,) = doubt_rows(DOUBTFUL, layout)
    assert row.plain.strip().startswith(f"or {CROW.common_name} ")
    assert row.plain.index("or ") == layout.picture + 2
    assert row.cell_len <= 80


def test_sure_answer_has_no_row_below() -> None:
    assert doubt_rows(classified(predictions=(CROW, RAVEN)), plan_layout(80, 3)) == ()


def test_weak_answer_on_a_wide_terminal_has_its_columns() -> None:
    assert doubt_rows(DOUBTFUL, plan_layout(200, 3)) == ()


def test_failure_and_a_single_weak_guess_have_no_row_below() -> None:
    layout = plan_layout(80, 3)
    assert doubt_rows(failed(), layout) == ()
    assert doubt_rows(classified(predictions=(SWALLOW,)), layout) == ()


def test_row_of_other_guesses_is_no_record_of_its_own() -> None:
    target = KeptTarget()
    writer = TableWriter(plain_console(80), target, top_k=3)
    writer.write([writer.encode(DOUBTFUL)])
    writer.close()
    assert len(target.kept.splitlines()) == 3
