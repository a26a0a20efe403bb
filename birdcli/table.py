"""Answers as a table for people, a row per input as it arrives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, BinaryIO, Final
from urllib.parse import unquote, urlsplit

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from birdcli.items import Classified, SourceKind
from birdcli.masking import masked_source, visible_message
from birdcli.metrics import BACKGROUND_LABEL
from birdcli.outside_text import visible_text
from birdcli.sources import IMAGE_SUFFIXES
from birdcli.writer import LineSink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from birdcli.items import ErrorInfo, ImageRef, Outcome, Prediction

_DEFAULT_WIDTH: Final = 80
_GAP: Final = "  "
_SCORE_WIDTH: Final = 6  # 100.0%
_BIRD_WIDTH: Final = 48  # "Black-crowned Night Heron  Nycticorax nycticorax"
_GUESS_WIDTHS: Final = (26, 40)  # of a further guess with its score: at least, at most
_SURE: Final = 0.8
_UNSURE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Widths of the columns, in terminal cells; two cells lie between them.

    Attributes:
        picture: The name of the picture.
        bird: The best guess.
        guess: Each further guess with its score.
        guesses: How many further guesses fit.
    """

    picture: int
    bird: int
    guess: int
    guesses: int

    @property
    def failure(self) -> int:
        """What is left beside the picture for the reason of a failure."""
        further = self.guesses * (len(_GAP) + self.guess)
        return self.bird + len(_GAP) + _SCORE_WIDTH + further


def plan_layout(width: int, top_k: int) -> Layout:
    """Returns the columns for a terminal.

    Args:
        width: Of the terminal, in cells; below 40 the table is as wide as one of 40.
        top_k: Guesses per picture.
    """
    width = max(width, 40)
    picture = max(12, min(width * 28 // 100, 26 + width // 20))
    room = width - picture - _SCORE_WIDTH - 2 * len(_GAP)
    lowest, highest = _GUESS_WIDTHS
    guesses = max(0, min(top_k - 1, (room - _BIRD_WIDTH) // (lowest + len(_GAP))))
    if not guesses:
        return Layout(picture=picture, bird=min(room, 64), guess=0, guesses=0)
    guess = min(highest, (room - _BIRD_WIDTH) // guesses - len(_GAP))
    bird = min(room - guesses * (guess + len(_GAP)), 64)
    return Layout(picture=picture, bird=bird, guess=guess, guesses=guesses)


def console_on(file: IO[str]) -> Console:
    """Returns a console as wide as the terminal behind a file, or 80 cells if that is none.

    Rich would ask descriptors 0 to 2, none of which is a terminal while inputs come through a pipe
    and libraries are kept off the output.
    """
    try:
        width = os.get_terminal_size(file.fileno()).columns
    except OSError:
        width = 0
    return Console(file=file, width=width or _DEFAULT_WIDTH)


class TableWriter:
    """Writes outcomes as rows; the columns are those of the width at the first row."""

    def __init__(self, console: Console, target: BinaryIO, *, top_k: int) -> None:
        """Renders for this console and writes to this target.

        Rich would end the program on a closed pipe, so it only renders.
        """
        self._console = console
        self._sink = LineSink(target)
        self._top_k = top_k
        self._layout: Layout | None = None
        self._headed = False

    def encode(self, outcome: Outcome) -> bytes:
        """Returns the rows of one input; see `OutcomeWriter.encode`."""
        layout = self._planned()
        rows = (outcome_row(outcome, layout), *doubt_rows(outcome, layout))
        return b"".join(self._rendered(row) for row in rows)

    def write(self, records: Sequence[bytes]) -> None:
        """Writes rows, before the first ones the header; see `OutcomeWriter.write`."""
        if not self._headed:
            self._headed = True
            self._sink.write_aside(self._rendered(header_row(self._planned())))
        self._sink.write(records)

    def close(self) -> None:
        """Sets a table on a terminal off from what follows; see `OutcomeWriter.close`."""
        try:
            if self._headed and self._console.is_terminal:
                self._headed = False
                self._sink.write_aside(b"\n")
        finally:
            self._sink.close()

    def _planned(self) -> Layout:
        if self._layout is None:
            self._layout = plan_layout(self._console.width, self._top_k)
        return self._layout

    def _rendered(self, row: Text) -> bytes:
        with self._console.capture() as capture:
            self._console.print(row, no_wrap=True, overflow="ignore", crop=False)
        return capture.get().encode(self._console.encoding, "replace")


def header_row(layout: Layout) -> Text:
    """Returns the names of the columns."""
    cells = [
        set_cell_size("Picture", layout.picture),
        set_cell_size("Bird", layout.bird),
        "Score".rjust(_SCORE_WIDTH),
    ]
    cells += [set_cell_size(f"Guess {rank}", layout.guess) for rank in range(2, layout.guesses + 2)]
    return Text(_GAP.join(cells), style="bold underline")


def outcome_row(outcome: Outcome, layout: Layout) -> Text:
    """Returns the row of one input; styles only underline what the words say."""
    row = Text(_padded(picture_name(outcome.ref, layout.picture), layout.picture))
    row.append(_GAP)
    if not isinstance(outcome, Classified):
        row.append_text(_failure(outcome.error, layout.failure))
        return row
    best = outcome.predictions[0]
    row.append_text(_best_guess(best, layout.bird))
    row.append(_GAP).append(_percent(best.score), style=_score_style(best))
    for guess in outcome.predictions[1 : layout.guesses + 1]:
        name = cut(guess_name(guess), layout.guess - _SCORE_WIDTH - 1)
        row.append(_GAP)
        row.append(_padded(name, layout.guess - _SCORE_WIDTH), style="dim")
        row.append(_percent(guess.score), style="dim")
    row.rstrip()
    return row


def doubt_rows(outcome: Outcome, layout: Layout) -> tuple[Text, ...]:
    """Returns a row with the other guesses, if the best is weak and they have no columns."""
    if not isinstance(outcome, Classified) or layout.guesses:
        return ()
    best, *others = outcome.predictions
    if best.score >= _UNSURE or not others:
        return ()
    names = ", ".join(f"{guess_name(guess)} {guess.score:.1%}" for guess in others)
    indent = " " * (layout.picture + len(_GAP))
    return (Text(indent).append(cut(f"or {names}", layout.failure), style="dim"),)


def picture_name(ref: ImageRef, width: int) -> str:
    """Returns what tells a picture apart, in one line of so many cells at the most.

    That is the last part of a path. Of a URL it is the host with the end of the path, and the query
    where the path names no picture: last parts such as `medium.jpg` or `404` are all the same.
    """
    source = masked_source(ref.source)
    if ref.kind is SourceKind.FILE:
        return shortened(visible_text(PurePath(source).name or source), width)
    try:
        parts = urlsplit(source)
    except ValueError:  # such as an address in half a pair of brackets
        return shortened(visible_text(source), width)
    host = visible_text(parts.netloc.rpartition("@")[2])
    path = visible_text(unquote(parts.path, errors="replace").rstrip("/"))
    if parts.query and not path.lower().endswith(IMAGE_SUFFIXES):
        path += visible_message(f"?{parts.query}")
    return shortened(f"{host}{path}" or visible_text(source), width, head=cell_len(host))


def shortened(name: str, width: int, *, head: int | None = None) -> str:
    """Returns a name cut in its middle, as both ends tell most.

    Args:
        name: The name.
        width: Cells at the most.
        head: Cells to keep at its beginning, a third of the width at the most; None for half.
    """
    if cell_len(name) <= width:
        return name
    tail_width = width // 2 if head is None else width - 1 - min(head, width // 3)
    start_of_name = set_cell_size(name, width - 1 - tail_width).rstrip()
    start = len(name)
    while start and cell_len(name[start - 1 :]) <= tail_width:
        start -= 1
    return f"{start_of_name}…{name[start:].lstrip()}"


def cut(text: str, width: int) -> str:
    """Returns a text in so many cells at the most, cut at its end."""
    if cell_len(text) <= width:
        return text
    return f"{set_cell_size(text, max(width - 1, 0)).rstrip()}…"


def _best_guess(guess: Prediction, width: int) -> Text:
    name = cut(guess_name(guess), width)
    text = Text()
    text.append(name, style="" if guess.label == BACKGROUND_LABEL else "bold")
    room = width - cell_len(name) - len(_GAP)
    if guess.common_name is not None and guess.label != BACKGROUND_LABEL:
        scientific = visible_text(guess.label)
        # as field guides do where space is short: Corvus corax, C. corax
        for form in (scientific, _abbreviated(scientific)):
            if cell_len(form) <= room:
                text.append(_GAP).append(form, style="dim italic")
                break
    text.append(" " * (width - text.cell_len))
    return text


def _failure(error: ErrorInfo, width: int) -> Text:
    text = Text(cut(f"✗ {error.code.value}", width), style="red")
    room = width - text.cell_len - len(_GAP)
    if room >= 4:
        text.append(_GAP).append(cut(visible_message(error.message), room))
    return text


def guess_name(guess: Prediction) -> str:
    """Returns what people call a guess: the English name, or the label; one line."""
    if guess.label == BACKGROUND_LABEL:
        return "no bird"
    return visible_text(guess.common_name or guess.label)


def _abbreviated(scientific: str) -> str:
    genus, _, species = scientific.partition(" ")
    return f"{genus[:1]}. {species}" if species else scientific


def _score_style(guess: Prediction) -> str:
    if guess.label == BACKGROUND_LABEL:
        return ""
    return "green" if guess.score >= _SURE else "yellow" if guess.score < _UNSURE else ""


def _percent(score: float) -> str:
    return f"{score:.1%}".rjust(_SCORE_WIDTH)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))
