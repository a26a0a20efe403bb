"""URLs as the user types them and as servers redirect to them."""

from __future__ import annotations

import base64

import pytest
from yarl import URL

from birdcli.errors import ErrorCode, FetchError, SourceError
from birdcli.web_url import parse_web_url, redirect_target

HERE = URL("http://h/dir/a.jpg?q", encoded=True)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("http://h/a.jpg", "/a.jpg"),
        ("http://h", "/"),
        ("http://h?q=1", "/?q=1"),
        ("http://h/%7e%2F+?s=%2B%2f", "/%7e%2F+?s=%2B%2f"),
        ("http://h/a/../b", "/a/../b"),
        ("http://h/a b.jpg", "/a%20b.jpg"),
        ("http://h/ä.jpg", "/%C3%A4.jpg"),
        ("http://h/\udce4.jpg", "/%E4.jpg"),
        ("http://h/100%.jpg", "/100%25.jpg"),
        ("http://h/a.jpg#bird", "/a.jpg"),
        ("  http://h/a.jpg\t", "/a.jpg"),
    ],
)
def test_the_path_is_sent_as_typed_and_quoted_where_it_must_be(typed: str, sent: str) -> None:
    assert parse_web_url(typed).url.raw_path_qs == sent


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("http://EXAMPLE.org/", "example.org"),
        ("HTTPS://h:444/", "h"),
        ("http://[::1]:80/", "::1"),
        ("http://münchen.example/", "xn--mnchen-3ya.example"),
        ("http://a_b.example./", "a_b.example."),
    ],
)
def test_the_host_is_what_the_slots_are_named_by(typed: str, host: str) -> None:
    assert parse_web_url(typed).host == host


@pytest.mark.parametrize(
    "typed",
    [
        "http://",
        "http:///a.jpg",
        "http://user@/a.jpg",
        "http://[::1/a.jpg",
        "http://h:99999/",
        "http://h:port/",
        "http://h:0/",
        "http://a b/",
        "http://a\0b/",
        "http://a..b/",
        "http://./",
        f"http://{'a' * 64}.example/",
        f"http://{'é' * 70}.example/",
        "http://h\\@other/",
        "http://h/\ud800.jpg",
    ],
)
def test_what_cannot_be_asked_is_invalid(typed: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_web_url(typed)
    assert (caught.value.code, caught.value.attempts) == (ErrorCode.SOURCE_INVALID_URL, 0)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("http:///a.jpg", "This URL names no host"),
        ("http://a..b/", "The host of this URL is no name that a host can have"),
        ("http://./", "The host of this URL is no name that a host can have"),
        ("http://2852039166/a", "The host of this URL is a number that is no address"),
        ("http://127.1/a", "The host of this URL is a number that is no address"),
        ("http://1.2.3.4.5/a", "The host of this URL is a number that is no address"),
        ("http://999.0.0.1/a", "The host of this URL is a number that is no address"),
    ],
)
def test_what_is_wrong_with_a_host_is_said(typed: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_web_url(typed)
    assert caught.value.message == message
    assert bool(caught.value.hint) is message.endswith("address")


@pytest.mark.parametrize("typed", ["ftp://h/a.jpg", "file:///a.jpg", "a.jpg", "data:,x"])
def test_only_the_web_is_asked(typed: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_web_url(typed)
    assert caught.value.code == ErrorCode.SOURCE_BAD_SCHEME


@pytest.mark.parametrize(
    ("user_info", "plain"),
    [("me:pw", "me:pw"), ("me", "me:"), (":pw", ":pw"), ("m%C3%A9:p%3A%40", "mé:p:@")],
)
def test_user_info_becomes_an_authorization(user_info: str, plain: str) -> None:
    parsed = parse_web_url(f"http://{user_info}@h/a.jpg")
    assert parsed.authorization is not None
    assert base64.b64decode(parsed.authorization.removeprefix("Basic ")).decode() == plain
    assert str(parsed.url) == "http://h/a.jpg"


def test_secrets_are_not_in_the_repr() -> None:
    secret = base64.b64encode(b"me:pw").decode()
    assert secret not in repr(parse_web_url("http://me:pw@h/a.jpg"))


@pytest.mark.parametrize(
    ("other", "sent"),
    [
        ("http://h/b", True),
        ("http://h:80/b", True),
        ("https://h/b", False),
        ("http://h:81/b", False),
        ("http://sub.h/b", False),
    ],
)
def test_the_authorization_is_for_its_origin(other: str, sent: bool) -> None:
    parsed = parse_web_url("http://me:pw@h/a.jpg")
    assert ("Authorization" in parsed.headers_for(URL(other))) == sent


def test_without_user_info_nothing_is_authorized() -> None:
    parsed = parse_web_url("http://h/a.jpg")
    assert parsed.headers_for(parsed.url) == {}


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b", "http://h/b"),
        ("b", "http://h/dir/b"),
        ("?p", "http://h/dir/a.jpg?p"),
        ("//o/b", "http://o/b"),
        ("https://o:444/b%7e?s=%2B", "https://o:444/b%7e?s=%2B"),
        ("http://me:pw@o/b#part", "http://o/b"),
        ("/\udce4 b", "http://h/%E4%20b"),
        (" /b ", "http://h/b"),
    ],
)
def test_redirects_are_resolved(location: str, target: str) -> None:
    assert str(redirect_target(HERE, location)) == target


@pytest.mark.parametrize(
    "location",
    [None, "", "ftp://o/b", "javascript:0", "http://[::1", "http://o:99999/", "//a..b/", "/\ud800"],
)
def test_redirects_to_nowhere_are_refused(location: str | None) -> None:
    with pytest.raises(FetchError) as caught:
        redirect_target(HERE, location)
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.FETCH_REDIRECT, False)
