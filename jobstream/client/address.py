"""The address of a service as users write it: kafka://host:port[,host:port…]. Pure; it opens no
connection.
"""

import re

from jobstream.errors import BadRequest

KAFKA_PORT = 9092
"""Where a Kafka address without a port leads."""

_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?")
_LATER = ("grpc", "grpcs")


def bootstrap_of(url: str) -> str:
    """The bootstrap servers that `url` names, as librdkafka takes them.

    Args:
        url: `kafka://host:port`, several hosts separated by commas; a port left out is 9092.

    Raises:
        BadRequest: Another scheme, or hosts that cannot be read.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise BadRequest(f"the client's url must be like kafka://127.0.0.1:9092, got {url!r}")
    if scheme in _LATER:
        raise BadRequest(
            f"the client's url must begin with kafka:// ({scheme}:// is not served yet), got {url!r}"
        )
    if scheme != "kafka":
        raise BadRequest(f"the client's url must begin with kafka://, got {url!r}")
    return ",".join(_host_port(part, url) for part in rest.rstrip("/").split(","))


def _host_port(text: str, url: str) -> str:
    match = _HOST_PORT.fullmatch(text)
    port = int(match["port"] or KAFKA_PORT) if match else 0
    if match is None or not 1 <= port <= 65535:  # noqa: PLR2004  # the ports that TCP has
        raise BadRequest(f"the client's url must name hosts as host:port, got {text!r} in {url!r}")
    return f"{match['host']}:{port}"


def web_of(url: str) -> str:
    """The address of the status pages, without a slash at its end.

    Raises:
        BadRequest: It is not an http or https address.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("http", "https") or not rest.strip("/"):
        raise BadRequest(f"the address of the status pages must be like http://127.0.0.1:6066, got {url!r}")
    return url.rstrip("/")
