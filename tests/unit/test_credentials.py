from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest

from birdcli.credentials import Credential, Credentials, load_credentials

KAGGLE = "https://www.kaggle.com/api/v1/models/x/download"
NETRC = """
machine mirror.example login ann password s3cret
machine WWW.kaggle.com login netrc-user password netrc-key
default login anonymous password nobody@example
"""


def basic(username: str, password: str) -> dict[str, str]:
    secret = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {secret}"}


@pytest.fixture
def netrc(tmp_path: Path) -> str:
    path = tmp_path / "netrc"
    path.write_text(NETRC)
    return str(path)


def test_a_machine_of_the_netrc_file_gets_its_login(netrc: str) -> None:
    found = load_credentials(netrc=netrc)
    assert found.headers_for("https://mirror.example/a.tar.gz") == basic("ann", "s3cret")


def test_a_machine_gets_its_login_on_any_port(netrc: str) -> None:
    found = load_credentials(netrc=netrc)
    assert found.headers_for("http://mirror.example:8080/a") == basic("ann", "s3cret")


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/",
        "https://mirror.example.evil.example/",
        "https://evil.example/mirror.example",
        "https://mirror.example@evil.example/",
        "https://sub.mirror.example/",
        "https://storage.googleapis.com/x?host=www.kaggle.com",
    ],
)
def test_other_hosts_get_nothing(url: str, netrc: str) -> None:
    found = load_credentials(netrc=netrc, kaggle_username="u", kaggle_key="k")
    assert found.headers_for(url) == {}


def test_the_kaggle_key_counts_before_the_netrc_file(netrc: str) -> None:
    found = load_credentials(netrc=netrc, kaggle_username="u", kaggle_key="k")
    assert found.headers_for(KAGGLE) == basic("u", "k")


def test_the_kaggle_key_never_travels_in_the_clear() -> None:
    found = load_credentials(netrc="/nonexistent", kaggle_username="u", kaggle_key="k")
    assert found.headers_for(KAGGLE) == basic("u", "k")
    assert found.headers_for(KAGGLE.replace("https:", "http:")) == {}


@pytest.mark.parametrize(("username", "key"), [("u", None), (None, "k"), ("", "k"), ("u", "")])
def test_half_a_kaggle_login_is_none(username: str | None, key: str | None, netrc: str) -> None:
    found = load_credentials(netrc=netrc, kaggle_username=username, kaggle_key=key)
    assert found.headers_for(KAGGLE) == basic("netrc-user", "netrc-key")


def test_the_netrc_file_of_the_home_folder_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / ".netrc").write_text(NETRC)
    assert load_credentials().headers_for("https://mirror.example/") == basic("ann", "s3cret")


def test_a_user_without_a_home_has_no_netrc_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    assert load_credentials() == Credentials()


def test_a_missing_netrc_file_is_nothing_to_talk_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_credentials(netrc=str(tmp_path / "none")) == Credentials()
    assert caplog.records == []


@pytest.mark.parametrize(
    "content",
    [b"machine mirror.example hunter2 x", b"hunter2", b"machine x login \xff\xfe password hunter2"],
)
def test_a_netrc_file_that_cannot_be_read_gives_a_warning_without_its_words(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "netrc"
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert load_credentials(netrc=str(path)) == Credentials()
    assert len(caplog.records) == 1
    assert str(path) in caplog.text
    assert "hunter2" not in caplog.text


def test_a_folder_as_netrc_file_gives_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_credentials(netrc=str(tmp_path)) == Credentials()
    assert "IsADirectoryError" in caplog.text


def test_a_password_is_never_shown() -> None:
    entry = Credential(host="h", username="u", password="hunter2")
    assert "hunter2" not in repr(Credentials((entry,)))


def test_names_and_passwords_may_be_of_any_language() -> None:
    entry = Credential(host="h", username="vögel", password="鳥")
    assert Credentials((entry,)).headers_for("http://h/") == basic("vögel", "鳥")
