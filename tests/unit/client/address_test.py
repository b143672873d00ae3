"""The addresses that users write."""

import pytest

from jobstream.client.address import bootstrap_of, web_of
from jobstream.errors import BadRequest


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("kafka://127.0.0.1:9092", "127.0.0.1:9092"),
        ("kafka://kafka-1", "kafka-1:9092"),
        ("kafka://a:1,b:2,c", "a:1,b:2,c:9092"),
        ("kafka://[::1]:9092/", "[::1]:9092"),
    ],
)
def test_hosts_are_read(url: str, servers: str) -> None:
    """Hosts, ports that may be left out, and lists of both become bootstrap servers."""
    assert bootstrap_of(url) == servers


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("grpc://127.0.0.1:7071", "grpc:// is not served yet"),
        ("127.0.0.1:9092", "must be like kafka://127.0.0.1:9092, got '127.0.0.1:9092'"),
        ("redis://127.0.0.1", "must begin with kafka://, got 'redis://127.0.0.1'"),
        ("kafka://", "must name hosts as host:port, got ''"),
        ("kafka://a:b", "must name hosts as host:port, got 'a:b'"),
        ("kafka://a:99999", "must name hosts as host:port, got 'a:99999'"),
        ("kafka://a,,b", "must name hosts as host:port, got ''"),
    ],
)
def test_other_addresses_are_refused(url: str, sentence: str) -> None:
    """Schemes that are not served, and hosts that cannot be, are refused with what was found."""
    with pytest.raises(BadRequest, match=sentence.replace("[", r"\[")):
        bootstrap_of(url)


def test_the_pages_have_an_http_address() -> None:
    """A slash at the end makes no difference, and anything but http is refused."""
    assert web_of("http://127.0.0.1:6066/") == "http://127.0.0.1:6066"
    for url in ("127.0.0.1:6066", "ftp://127.0.0.1", "http://"):
        with pytest.raises(BadRequest, match=r"must be like http://.*, got"):
            web_of(url)
