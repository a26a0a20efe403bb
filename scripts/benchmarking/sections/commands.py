"""Commands that must answer at once."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from scripts.benchmarking.bench import BIRDCLI, in_turn
from scripts.benchmarking.process import ROOT, measure
from scripts.benchmarking.results import Taken

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.benchmarking.bench import Bench

COMMANDS: Final = (("--version",), ("--help",), ("registry", "list"), ("classify", "--help"))
_HEAVY: Final = ("numpy", "aiohttp", "PIL", "tensorflow", "openvino")


def heavy_imports(arguments: tuple[str, ...]) -> str:
    """Returns which of the heavy libraries a command imports, or `none`."""
    code = (
        "import sys; sys.argv[0] = 'birdcli'\n"
        "from birdcli.cli.app import app\n"
        f"app({list(arguments)!r}, standalone_mode=False)\n"
        f"sys.stderr.write(' '.join(m for m in {_HEAVY!r} if m in sys.modules) or 'none')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return ", ".join(done.stderr.split())


def measure_commands(bench: Bench) -> Taken:
    """Runs each command ten times, in turn."""

    def runner(arguments: tuple[str, ...]) -> Callable[[], dict[str, float]]:
        return lambda: {"wall_s": measure([*BIRDCLI, *arguments]).wall_s}

    contenders = {" ".join(words): runner(words) for words in COMMANDS}
    return Taken(
        samples=in_turn(1 if bench.quick else 10, contenders, warm=not bench.quick),
        facts={f"{' '.join(words)}/imports": heavy_imports(words) for words in COMMANDS},
    )
