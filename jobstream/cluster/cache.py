"""The user's cache directory of Jobstream: what was fetched or made once and may be thrown away at any time.

Owns its place and the locks in it. Never holds anything that cannot be made again.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobstream.cluster.errors import ClusterError


def cache_directory() -> Path:
    """JOBSTREAM_CACHE, else `jobstream` in XDG_CACHE_HOME, else in ~/.cache.

    As the XDG Base Directory Specification has it. Made when missing. Raises ClusterError when that is
    impossible.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    path = Path(os.environ.get("JOBSTREAM_CACHE") or f"{base}/jobstream").expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClusterError(
            f"the cache directory {path} cannot be made ({error.strerror}); name another in JOBSTREAM_CACHE"
        ) from error
    return path


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock `name` of the cache; others wait, and the kernel frees it when its holder dies."""
    path = cache_directory() / f"{name}.lock"
    try:
        file = path.open("ab")
    except OSError as error:
        raise ClusterError(
            f"the cache directory {path.parent} is not writable ({error.strerror});"
            " name another in JOBSTREAM_CACHE"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
