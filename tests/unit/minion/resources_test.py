"""Resources: declared once, opened in the order of their needs, closed in reverse."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Self

import pytest

from jobstream import resources
from jobstream.errors import BadFunction, ResourceFailed
from jobstream.resources import open_all, resource


@pytest.fixture(autouse=True)
def own_resources() -> Iterator[None]:
    """Each test declares its own."""
    before = dict(resources.DECLARED)
    resources.DECLARED.clear()
    yield
    resources.DECLARED.clear()
    resources.DECLARED.update(before)


async def test_opened_by_need_closed_in_reverse() -> None:
    """What a resource is made of is opened before it, closed after it; what nobody needs stays closed."""
    seen: list[str] = []

    @resource
    async def top(middle: str, base: str) -> AsyncIterator[str]:
        seen.append("+top")
        yield f"top of {middle} of {base}"
        seen.append("-top")

    @resource
    def middle(base: str) -> Iterator[str]:
        seen.append("+middle")
        yield f"middle of {base}"
        seen.append("-middle")

    @resource(name="base")
    @asynccontextmanager
    async def made() -> AsyncIterator[str]:
        seen.append("+base")
        yield "base"
        seen.append("-base")

    @resource
    @contextmanager
    def unused() -> Iterator[None]:
        seen.append("+unused")
        yield

    async with AsyncExitStack() as stack:
        opened = await open_all({"top"}, stack)
        assert opened == {"base": "base", "middle": "middle of base", "top": "top of middle of base of base"}
        assert seen == ["+base", "+middle", "+top"]
    assert seen[3:] == ["-top", "-middle", "-base"]


async def test_a_class_that_is_a_context_manager() -> None:
    """Any callable that gives a context manager will do; parameters with defaults are left alone."""

    @resource(name="session")
    class Session:
        def __init__(self, timeout: float = 3.0, **more: Any) -> None:
            self.timeout = timeout
            self.more = more

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

    async with AsyncExitStack() as stack:
        opened = await open_all({"session"}, stack)
        assert opened["session"].timeout == 3.0


async def test_a_resource_that_fails() -> None:
    """The error names the resource, and what was opened before it is closed."""
    closed: list[str] = []

    @resource
    async def first() -> AsyncIterator[int]:
        yield 1
        closed.append("first")

    @resource
    async def second(first: int) -> AsyncIterator[int]:
        if first:
            raise ConnectionError("no database")
        yield first

    async with AsyncExitStack() as stack:
        with pytest.raises(
            ResourceFailed, match="'second' could not be opened: ConnectionError: no database"
        ):
            await open_all({"second"}, stack)
    assert closed == ["first"]


async def test_what_is_no_resource() -> None:
    """A callable that gives no context manager is told so when it is opened."""

    @resource
    def number() -> int:
        return 1

    async with AsyncExitStack() as stack:
        with pytest.raises(ResourceFailed, match="must be a generator or give a context manager, got int"):
            await open_all({"number"}, stack)


def test_needs_must_be_declared() -> None:
    """A resource may need declared resources only, and not itself."""

    @resource
    def one(two: int) -> Iterator[int]:
        yield two

    with pytest.raises(BadFunction, match="resource 'one' must need declared resources only, got 'two'"):
        resources.ordered({"one"})

    @resource
    def two(one: int) -> Iterator[int]:
        yield one

    with pytest.raises(BadFunction, match="in a circle, got one -> two -> one"):
        resources.ordered({"one"})


def test_names() -> None:
    """A name is declared once, and can be a parameter's."""

    @resource(name="pool")
    def one() -> Iterator[int]:
        yield 1

    def two() -> Iterator[int]:
        yield 2

    with pytest.raises(
        BadFunction, match=r"resource 'pool' must be declared once, got it in .*one and .*two"
    ):
        resource(name="pool")(two)
    with pytest.raises(BadFunction, match="must be one that a parameter can have, got 'a-b'"):
        resource(name="a-b")(two)
    assert next(one()) == 1
