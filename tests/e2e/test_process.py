"""The command as a process: interrupted early, with a full stderr, with a narrow encoding."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from birdcli.cli.context import EXIT_INTERRUPTED
from tests.e2e.conftest import REPOSITORY, Birdcli

if TYPE_CHECKING:
    from pathlib import Path

# Interrupts itself where a module is looked for: Ctrl-C at that moment, without a clock.
INTERRUPTED = """
import os, signal, sys
from birdcli.__main__ import main

wanted, ignored = sys.argv[1:]

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)

if ignored == "ignored":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.meta_path.insert(0, Interrupting())
sys.argv = ["birdcli", "registry", "list"]
main()
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signals, no /dev/full")


@pytest.fixture
def empty(tmp_path: Path) -> Birdcli:
    """The command over a new home."""
    return Birdcli(tmp_path / "home")


def run(birdcli: Birdcli, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, env=birdcli.environment | variables,
        cwd=REPOSITORY, timeout=60, check=False,
    )  # fmt: skip


def interrupt(birdcli: Birdcli, module: str, *, ignored: bool = False) -> tuple[int, str]:
    words = (module, "ignored" if ignored else "")
    done = run(birdcli, sys.executable, "-c", INTERRUPTED, *words)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "module", ["birdcli.cli", "typer", "birdcli.cli.context", "msgspec", "birdcli.streams"]
)
def test_an_interrupt_before_a_command_runs_is_a_quiet_death(empty: Birdcli, module: str) -> None:
    assert interrupt(empty, module) == (-signal.SIGINT, "")


@pytest.mark.parametrize("module", ["birdcli.cli.listing", "birdcli.cli.tables"])
def test_an_interrupt_while_a_command_runs_is_its_own_to_handle(
    empty: Birdcli, module: str
) -> None:
    assert interrupt(empty, module) == (EXIT_INTERRUPTED, "")


@pytest.mark.parametrize("module", ["typer", "birdcli.cli.listing"])
def test_an_interrupt_that_the_parent_ignores_stays_ignored(empty: Birdcli, module: str) -> None:
    assert interrupt(empty, module, ignored=True) == (0, "")


def test_the_installed_command_is_the_module() -> None:
    described = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert described["project"]["scripts"] == {"birdcli": "birdcli.__main__:main"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [("registry show nope@1", 3), ("registry list --nope", 2), ("cache clear", 0)],
)
def test_words_that_cannot_be_told_change_no_exit_code(
    empty: Birdcli, arguments: str, code: int
) -> None:
    command = " ".join(str(part) for part in empty.command(*arguments.split()))
    done = run(empty, "bash", "-c", f"{command} 2>/dev/full")
    assert (done.returncode, done.stdout) == (code, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("classify", "a.jpg", "--model", "http:/user:hunter2@host/x"),
        ("registry", "show", "http://user:hunter2@host/x"),
        ("http://user:hunter2@host/a.jpg",),  # without the command
        ("registry", "show", "a@1", "http://user:hunter2@host/x"),
        ("registry", "add", "a@1", "http://user:hunter2@127.0.0.1:1/x", "--labels", "x.csv"),
    ],
)
def test_errors_show_no_passwords(empty: Birdcli, arguments: tuple[str, ...]) -> None:
    done = empty(*arguments)
    assert done.code in (2, 3, 5)
    assert "ter2" not in done.stderr


@pytest.mark.parametrize(
    "listed",
    ["http://user:hunter2@host/list.txt?token=hunter2", "http://user:hun ter2@host/list.txt"],
)
def test_lists_that_cannot_be_read_show_no_passwords(birdcli: Birdcli, listed: str) -> None:
    done = birdcli("classify", "-f", listed)
    assert done.code == 2
    assert "usage.input_unreadable" in done.stderr
    assert "ter2" not in done.stderr


def test_what_an_encoding_lacks_is_escaped(empty: Birdcli, tmp_path: Path) -> None:
    home = str(tmp_path / "Möwe")
    command = [str(part) for part in empty.command("cache", "info")]
    done = run(empty, *command, PYTHONIOENCODING="ascii", BIRDCLI_HOME=home)
    assert done.returncode == 0, done.stderr
    assert r"M\xf6we" in done.stdout


@pytest.mark.parametrize("place", ["source", "--labels", "--names", "--from"])
@pytest.mark.parametrize("kind", ["a pipe", "an endless device"])
def test_sources_without_an_end_are_refused_at_once(
    empty: Birdcli, tmp_path: Path, place: str, kind: str
) -> None:
    good, bad = tmp_path / "labels.csv", tmp_path / "pipe"
    good.write_bytes(b"Pica pica\n")
    os.mkfifo(bad)
    if kind == "an endless device":
        bad.unlink()
        bad.symlink_to("/dev/zero")
    if place == "--from":
        done = empty.inline("registry", "pull", "aiy-birds-v1", "--from", str(bad))
    else:
        files = {"source": good, "--labels": good, "--names": good} | {place: bad}
        options = [str(it) for key in ("--labels", "--names") for it in (key, files[key])]
        done = empty.inline("registry", "add", "birds@1", str(files["source"]), *options)
    assert done.code == 3
    assert "error[model.source_unreadable]" in done.stderr
    assert "it is no regular file" in done.stderr
    assert not list((empty.home / "registry").glob("models/*"))
