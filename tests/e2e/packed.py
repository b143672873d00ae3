"""The functions of the test of `jobstream package`: copied elsewhere, and packed there."""

import jobstream
from jobstream import function


@function(name="packed.double")
async def double(value: int) -> int:
    """Doubles."""
    return 2 * value


@function(name="packed.shout")
def shout(text: str) -> str:
    """A plain one."""
    return text.upper()


@function(name="packed.fails")
def fails() -> None:
    """Fails."""
    raise ValueError("as it should")


@function(name="packed.located", timeout=60)
async def located() -> str:
    """Where it runs."""
    return str(jobstream.__file__)
