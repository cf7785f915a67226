"""One string names a backend, and never shows a password."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbridge.errors import ConfigurationError
from taskbridge.settings import BackendURL, check_options, mask_url, parse_url

secrets = st.text(alphabet=string.ascii_letters + string.digits + "@:/?#[]!$&'()*+,;=% é", min_size=6, max_size=20)
words = st.text(alphabet=string.ascii_lowercase, min_size=1, max_size=8)

ports = st.none() | st.integers(1, 65535)

urls = st.builds(
    BackendURL,
    engine=words,
    broker=words,
    username=st.none() | secrets,
    password=st.none() | secrets,
    host=words,
    port=ports,
    path=st.sampled_from(["", "/0", "/%2Fprod", "/./queue.db", "//var/queue.db"]),
    options=st.dictionaries(words, st.text(alphabet=string.ascii_letters + "/:@&=%+ é", min_size=1), max_size=3),
)


@given(urls)
def test_a_url_is_read_as_it_was_written(url: BackendURL) -> None:
    assert parse_url(url.full()) == url


@given(st.lists(st.tuples(words, ports), min_size=1, max_size=3), secrets, secrets)
def test_several_sentinels_are_read_as_they_were_written(
    more: list[tuple[str, int | None]], password: str, theirs: str
) -> None:
    theirs = f"Q7{theirs}"  # in no host's name
    first = BackendURL(engine="rq", broker="rediss", host="a", more_hosts=tuple(more), password=password, path="/1")
    url = first.with_options(sentinel="shop", sentinel_password=theirs)
    assert parse_url(url.full()) == url
    assert theirs not in str(url)
    assert theirs not in mask_url(f"{url.full()} cannot be read")


def test_a_store_behind_sentinel_stands_in_the_query_and_its_passwords_are_hidden() -> None:
    store = "redis://:hunter22@a:1,b:2/0?sentinel=shop&sentinel_password=hunter33"
    written = BackendURL(engine="celery", broker="amqp", host="host").with_options(store=store)
    assert parse_url(written.full()).store == store
    for shown in (str(written), mask_url(written.full())):
        assert "hunter" not in shown
        assert "shop" in shown


@given(urls)
def test_the_text_of_a_url_has_no_password(url: BackendURL) -> None:
    shown_anyway = (url.engine, url.broker, url.username, url.host, url.path, url.options)
    if url.password and not any(url.password in str(part) for part in shown_anyway):
        assert url.password not in str(url)
        assert url.password not in repr(url)


def test_the_text_of_a_url_hides_the_password_of_its_store() -> None:
    url = parse_url("celery+amqp://guest:secret1@host/%2F?store=redis://:secret2@host/1")
    assert "secret" not in repr(url)
    assert url.store == "redis://:secret2@host/1"
    assert "secret1" in url.full()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("redis", "engine+broker"),
        ("", "engine+broker"),
        ("rq+redis:/localhost", "engine+broker"),
        ("django_tasks+db://default", "underscore"),
        ("rq+redis://a:1,b:2/0", "several hosts"),
        ("redis://a:1,b:2/0?prefix=shop", "several hosts"),
        ("rq+redis://a:1,b:x/0?sentinel=shop", "port"),
        ("rq+redis://a:1,/0?sentinel=shop", "write the Sentinels as hosts"),
        ("rq+redis://?sentinel=shop", "write the Sentinels as hosts"),
        ("rq+redis://a:1?sentinel=", "?sentinel=mymaster"),
        ("rq+redis://a:1?sentinel_password=x", "?sentinel=mymaster"),
        ("celery+amqp://a?sentinel=shop", "is for Redis"),
        ("huey+sqlite:///./queue.db?sentinel=shop", "is for Redis"),
        ("rq+redis://localhost:99999", "port"),
        ("rq+redis://localhost:port", "port"),
        ("rq+redis://localhost?strict", "key=value"),
        ("rq+redis://localhost?strict=yes&strict=no", "twice"),
        ("rq+redis://localhost/0#fragment", "fragment"),
        ("+redis://localhost", "engine+broker"),
    ],
)
def test_what_is_no_url_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_url(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "rq+redis://h:port/0?sentinel=shop&sentinel_password=hunter22",
        "rq+redis://:hunter22@host:port/0",
        "rq+redis://u:hunter22@a,b/0",
        "x_y+z://u:hunter22@h",
    ],
)
def test_a_refused_url_does_not_show_its_password(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_url(text)
    assert "hunter22" not in str(caught.value)


def test_an_unknown_option_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'serializer'"):
        check_options(parse_url("rq+redis://localhost?seralizer=json"), {"serializer": ""})


@pytest.mark.parametrize(
    ("query", "words"),
    [("strict=maybe", "yes, no"), ("workers=mine", "taskbridge, native"), ("size_limit=1M", "whole number")],
)
def test_an_option_with_an_impossible_value_is_refused(query: str, words: str) -> None:
    url = parse_url(f"rq+redis://localhost?{query}")
    with pytest.raises(ConfigurationError, match=words):
        _ = (url.is_strict, url.has_native_workers, url.size_limit)
