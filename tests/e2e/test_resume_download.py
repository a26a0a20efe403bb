"""A download that is killed goes on where it stopped, with the real command."""

from __future__ import annotations

import json
import os
import signal
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from birdcli.hashing import sha256_of_file
from tests.e2e.conftest import Birdcli
from tests.hub_server import Answer, HubServer

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

PADDING = 12 << 20  # does not compress: half of it is more than one checkpoint
PATIENCE_S = 60.0


@pytest.fixture
def archive(shared_folder: Path, tmp_path: Path) -> Path:
    """The tiny model with a large asset."""
    assets = tmp_path / "padding"
    assets.write_bytes(os.urandom(PADDING))
    packed = tmp_path / "model.tar.gz"
    with tarfile.open(packed, "w:gz", compresslevel=1) as tar:
        tar.add(shared_folder / "model", ".")
        tar.add(assets, "assets/padding")
    return packed


def wait_for_a_checkpoint(partials: Path, process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not list(partials.glob("*.json")):
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < until_s, "nothing was synced"
        time.sleep(0.01)


def test_a_killed_download_goes_on_where_it_stopped(
    archive: Path, shared_folder: Path, tmp_path: Path
) -> None:
    birdcli = Birdcli(tmp_path / "home")
    partials = birdcli.home / "registry" / "downloads"
    script = [Answer.STALL, Answer.ARCHIVE]
    with HubServer(archive.read_bytes(), script=script, etag='"1"') as hub:
        command = (
            *("registry", "add", "tiny@1", hub.url, "--labels", shared_folder / "labels.csv"),
            *("--scale", "unit", "--background-id", "11"),
            *("--sha256", sha256_of_file(archive)),
        )
        process = birdcli.start(*command)
        try:
            wait_for_a_checkpoint(partials, process)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=PATIENCE_S)
        [side] = partials.glob("*.json")
        stopped_at = json.loads(side.read_bytes())["count"]
        assert stopped_at >= 4 << 20
        done = birdcli(*command)
        assert done.code == 0, done.stderr
        assert hub.ranges == [None, f"bytes={stopped_at}-"]
    assert "tiny@1 is installed and works on this machine." in done.stderr
    assert list(partials.glob("*.part")) == []
