"""How a run that was stopped is continued, in words for its user."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, OutputError
from birdcli.masking import masked_message, masked_source
from birdcli.sources import STDIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_OPTIONS: Final = "BIRDCLI_CLASSIFY_"
_HOME: Final = "BIRDCLI_HOME"
_BOUND: Final = "--max-failures"
_LATER: Final = (ErrorCode.OUTPUT_DISK_FULL, ErrorCode.OUTPUT_UNWRITABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """What a command line has to say to go on where this run stops.

    Attributes:
        arguments: Of this run, after the name of the program.
        environment: Of this run; options may stand in it.
        inputs: Its inputs and lists, of which `-` is standard input.
        resumable: Whether its output can be continued.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    inputs: Sequence[str]
    resumable: bool

    def line(self, *, past_bound: bool = False) -> str:
        """Returns a line that says how to go on: a command for a shell at its end, if there is one.

        Args:
            past_bound: Whether the run ended because more inputs failed than allowed: with the
                same bound, the next one would end at once.
        """
        if not self.resumable:
            return "Only a run with -o FILE, as JSON lines, can be continued after a stop."
        words = [*self._variables(past_bound=past_bound), "birdcli"]
        words += self._words(past_bound=past_bound)
        masked = [_masked(word) for word in words]
        needed = []
        if STDIN in self.inputs:
            needed.append("the same list on standard input")
        if masked != words:
            needed.append("its secrets in the place of ***")
        told = f" ({', '.join(needed)})" if needed else ""
        return f"Continue with{told}: {' '.join(_quoted(word) for word in masked)}"

    def _words(self, *, past_bound: bool) -> list[str]:
        """The arguments, with `--resume` and without what would keep the run from going on."""
        end = self.arguments.index("--") if "--" in self.arguments else len(self.arguments)
        options, inputs = list(self.arguments[:end]), self.arguments[end:]
        kept: list[str] = []
        while options:
            word = options.pop(0)
            if past_bound and word == _BOUND:
                del options[:1]
            elif word != "--fresh" and not (past_bound and word.startswith(f"{_BOUND}=")):
                kept.append(word)
        if not any(word == "--resume" or word.startswith("--retry-failed") for word in kept):
            kept.append("--resume")
        return [*kept, *inputs]

    def _variables(self, *, past_bound: bool) -> list[str]:
        """The variables that were options of this run; an empty one is none."""
        dropped = {f"{_OPTIONS}FRESH"} | ({f"{_OPTIONS}MAX_FAILURES"} if past_bound else set())
        return [
            f"{name}={'' if name in dropped else value}"
            for name, value in sorted(self.environment.items())
            if value and (name.startswith(_OPTIONS) or name == _HOME)
        ]


@contextmanager
def hinted(continuation: Callable[[], Continuation]) -> Iterator[None]:
    """Adds how to go on to the error of an output that may be written later: its disk is full.

    Args:
        continuation: Of the run, as it is at that moment.
    """
    try:
        yield
    except BaseException as err:
        for error in _leaves(err):
            if isinstance(error, OutputError) and error.code in _LATER:
                going_on = continuation()
                if going_on.resumable:
                    error.hint = error.hint or going_on.line()
        raise


def _masked(word: str) -> str:
    """A word without the secrets of a URL, be it an argument or the value of an option."""
    name, equals, value = word.partition("=")
    if equals and (name.startswith("-") or name.isidentifier()):
        return f"{name}={masked_message(masked_source(value))}"
    return masked_message(masked_source(word))


def _quoted(word: str) -> str:
    """A word for a shell, which takes a variable only if its name is not quoted."""
    name, equals, value = word.partition("=")
    if equals and name.isidentifier():
        return f"{name}={shlex.quote(value) if value else ''}"
    return shlex.quote(word)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
