"""Things that functions share and a minion opens once: pools, HTTP clients, models. It owns their
declarations.

A resource is a generator that yields it, or a callable that returns a context manager, declared once:

    @resource
    async def pool():
        pool = await asyncpg.create_pool(...)
        yield pool
        await pool.close()

A function that has a parameter of that name is given it. A minion opens what its functions name before it
takes jobs, those that others name first, and closes all, in reverse, after it has drained. The declaration
leaves the generator as it was, so that a unit test may use it, or hand the function something else.
"""

import inspect
from collections.abc import Callable, Iterable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from jobstream.errors import BadFunction, ResourceFailed

C = TypeVar("C", bound=Callable[..., Any])
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
Opener = Callable[..., AbstractAsyncContextManager[Any] | AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Resource:
    """A declared resource."""

    name: str
    opener: Opener
    needs: tuple[str, ...]
    """Names of its parameters that have no default: the resources that it is made of."""
    origin: tuple[str, str]
    """Module and qualified name of the declaration."""


DECLARED: dict[str, Resource] = {}
"""Every resource that any imported module declares, by name."""


@overload
def resource(declared: C) -> C: ...
@overload
def resource(*, name: str | None = None) -> Callable[[C], C]: ...
def resource(declared: C | None = None, *, name: str | None = None) -> C | Callable[[C], C]:
    """Declares a resource; its name is the generator's unless `name` says otherwise.

    Raises:
        BadFunction: The name is taken by another resource, or is no name of a parameter.
    """

    def declare(target: C) -> C:
        _declare(target, name if name is not None else target.__name__)
        return target

    return declare if declared is None else declare(declared)


def _declare(target: Callable[..., Any], name: str) -> None:
    if not name.isidentifier():
        raise BadFunction(f"a resource's name must be one that a parameter can have, got {name!r}")
    origin = (target.__module__, target.__qualname__)
    known = DECLARED.get(name)
    if known is not None and known.origin != origin:
        places = f"{'.'.join(known.origin)} and {'.'.join(origin)}"
        raise BadFunction(f"resource {name!r} must be declared once, got it in {places}")
    if inspect.isasyncgenfunction(target):
        opener: Opener = asynccontextmanager(target)
    elif inspect.isgeneratorfunction(target):
        opener = contextmanager(target)
    else:
        opener = target
    parameters = inspect.signature(target).parameters.values()
    needs = tuple(
        each.name for each in parameters if each.default is each.empty and each.kind not in _VARIADIC
    )
    DECLARED[name] = Resource(name, opener, needs, origin)


def ordered(names: Iterable[str]) -> list[Resource]:
    """The named resources and all they are made of, in an order in which each comes after what it needs.

    Raises:
        BadFunction: One needs what is not declared, or needs itself.
    """
    done: dict[str, Resource] = {}
    for name in sorted(names):
        _visit(name, (), done)
    return list(done.values())


def _visit(name: str, above: tuple[str, ...], done: dict[str, Resource]) -> None:
    if name in done:
        return
    if name in above:
        raise BadFunction(
            f"resources must not need each other in a circle, got {' -> '.join((*above, name))}"
        )
    found = DECLARED.get(name)
    if found is None:
        raise BadFunction(f"resource {above[-1]!r} must need declared resources only, got {name!r}")
    for need in found.needs:
        _visit(need, (*above, name), done)
    done[name] = found


async def open_all(names: Iterable[str], stack: AsyncExitStack) -> dict[str, Any]:
    """Opens the named resources and what they need; `stack` closes them.

    Raises:
        ResourceFailed: One could not be opened; those before it are left to the stack.
    """
    opened: dict[str, Any] = {}
    for found in ordered(names):
        try:
            opened[found.name] = await _open(found, opened, stack)
        except Exception as error:
            raise ResourceFailed(
                f"resource {found.name!r} could not be opened: {type(error).__name__}: {error}"
            ) from error
    return opened


async def _open(found: Resource, opened: dict[str, Any], stack: AsyncExitStack) -> Any:
    scope = found.opener(**{need: opened[need] for need in found.needs})
    if isinstance(scope, AbstractAsyncContextManager):
        return await stack.enter_async_context(scope)
    if isinstance(scope, AbstractContextManager):
        return stack.enter_context(scope)
    raise TypeError(f"it must be a generator or give a context manager, got {type(scope).__name__}")
