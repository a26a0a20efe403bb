"""Puts the program's own `classify --help` into README.md, between its two marks.

Run it as `python -m scripts.update_readme`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- help -->", "<!-- /help -->"


def help_text() -> str:
    """Returns what `birdcli classify --help` prints, 100 columns wide, without colour."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BIRDCLI_")}
    environment |= {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "birdcli", "classify", "--help"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=True,
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def with_help(readme: str, text: str) -> str:
    """Returns the README with this help text between the marks."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n```text\n{text}\n```\n\n{END}{after}"


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_help(path.read_text(encoding="utf-8"), help_text()), encoding="utf-8")
