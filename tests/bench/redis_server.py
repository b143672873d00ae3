"""A Redis server of a benchmark's own: Debian's, with an append-only file synced every second.

Owns the process, from start to end. Data is in a folder that the caller gives.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from jobstream.cluster import Child, free_port
from tests.bench.figures import Unavailable
from tests.waiting import eventually

START_S: Final = 10.0
STOP_S: Final = 5.0


@contextmanager
def redis_server(data: Path) -> Iterator[tuple[Child, str]]:
    """A server on a free port of loopback; gives it and its URL, without the number of a database.

    Raises:
        Unavailable: No redis-server is installed, or no client for it.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise Unavailable("redis-server is not installed; make bench installs it for root, with apt-get")
    try:
        from redis import Redis
        from redis.exceptions import ConnectionError as NotYet
    except ImportError as error:
        raise Unavailable(f"{error}; make bench installs the extra `bench`") from error
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data)]
    command += ["--appendonly", "yes", "--appendfsync", "everysec"]
    server = Child.start(command, log=data / "redis.log")

    def answers() -> bool:
        assert server.alive, f"redis-server must run, got {server.tail()}"
        try:
            return bool(Redis(port=port).ping())
        except NotYet:
            return False

    try:
        eventually(answers, START_S)
        yield server, f"redis://127.0.0.1:{port}"
    finally:
        server.stop(STOP_S)
