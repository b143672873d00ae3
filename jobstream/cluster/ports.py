"""Free TCP ports on loopback. Must never listen on any other address."""

import random
import socket

from jobstream.cluster.errors import PortTaken

LOOPBACK = "127.0.0.1"

# Below the ports that Linux and macOS hand to outgoing connections, which could take a free one before its
# listener does.
_FREE_PORT_RANGE = range(20_000, 32_000)
_FREE_PORT_TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port(other: int | None = None) -> int:
    """A port that nobody listens on, and not this `other` one, on which somebody is about to listen.

    Nobody holds it, so listen soon. Raises PortTaken if none is found.
    """
    for port in random.sample(_FREE_PORT_RANGE, _FREE_PORT_TRIES):
        if port != other and is_free(port):
            return port
    raise PortTaken(
        f"no free port was found on {LOOPBACK} in {_FREE_PORT_TRIES} tries; is something holding them all?"
    )


def claim_port(port: int) -> int:
    """`port` if it is free, a free one for 0. Raises PortTaken for a taken one, ValueError for one out of
    range.
    """
    if port == 0:
        return free_port()
    if not 1 <= port <= 65_535:  # noqa: PLR2004 - the range of TCP
        raise ValueError(f"port must be 0 (any free one) to 65535, got {port}")
    if not is_free(port):
        raise PortTaken(
            f"port {port} on {LOOPBACK} is taken by another program; stop it, or name another port"
        )
    return port
