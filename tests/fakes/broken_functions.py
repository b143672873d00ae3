"""A module whose functions need a resource that cannot be opened."""

from collections.abc import Iterator

from jobstream.functions import function
from jobstream.resources import resource


@resource
def broken_database(host: str = "") -> Iterator[None]:
    """Fails."""
    if not host:
        raise ConnectionError("no route to host")
    yield


@function(name="needs-database")
async def needs_database(broken_database: None) -> None:
    """Needs it."""
