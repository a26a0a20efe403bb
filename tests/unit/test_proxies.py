"""The choice of a proxy."""

from __future__ import annotations

import pytest

from birdcli.errors import ErrorCode, UsageError
from birdcli.proxies import resolve_proxies


def never(host: str) -> bool:
    return False


def test_each_scheme_has_its_proxy() -> None:
    proxies = resolve_proxies({"http": "http://a:1", "https": "http://b:2"}, never)
    assert proxies.proxy_for("http", "h") == "http://a:1"
    assert proxies.proxy_for("https", "h") == "http://b:2"


def test_one_proxy_may_serve_all() -> None:
    proxies = resolve_proxies({"all": "http://a:1", "https": "http://b:2"}, never)
    assert proxies.proxy_for("http", "h") == "http://a:1"
    assert proxies.proxy_for("https", "h") == "http://b:2"


def test_a_proxy_without_scheme_speaks_http() -> None:
    assert resolve_proxies({"http": "a:3128"}, never).proxy_for("http", "h") == "http://a:3128"


def test_without_proxies_everything_is_direct() -> None:
    assert resolve_proxies({"no": "*"}, never).proxy_for("http", "h") is None


def test_exceptions_are_direct() -> None:
    proxies = resolve_proxies({"http": "http://a:1"}, lambda host: host == "inside")
    assert proxies.proxy_for("http", "inside") is None
    assert proxies.proxy_for("http", "outside") == "http://a:1"


def test_the_environment_is_asked_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://a:1")
    monkeypatch.setenv("no_proxy", "inside.example")
    proxies = resolve_proxies()
    assert proxies.proxy_for("https", "h") == "http://a:1"
    assert proxies.proxy_for("https", "inside.example") is None
    assert proxies.proxy_for("http", "h") is None


@pytest.mark.parametrize(
    "proxy", ["socks5://me:s3cret@a:1", "http://", "http://a:port", "http://[::1", "http://a:0"]
)
def test_what_is_no_http_proxy_is_refused_without_its_secrets(proxy: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_proxies({"http": proxy}, never)
    assert caught.value.code == ErrorCode.USAGE_BAD_FLAG
    assert "s3cret" not in caught.value.message
