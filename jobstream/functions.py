"""Functions that jobs run: their declaration, their options, and what calling one means on either side of
Kafka.

It owns the decorator, the check of arguments against a signature, and the Submission that a client writes as
a JobRequest. It opens no connection and imports nothing outside the standard library, the errors and the
defaults: a decorated function is called, tested and imported as if nothing had happened to it.
"""

import asyncio
import contextvars
import functools
import inspect
import json
import sys
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal, ParamSpec, TypedDict, TypeVar, Unpack, cast, overload

from jobstream import resources
from jobstream.context import Context, current
from jobstream.errors import BadArguments, BadFunction, BadRequest
from jobstream.schedules import Schedule, schedules_of
from jobstream.times import Seconds, epoch_ms, milliseconds, milliseconds_within
from schemas import defaults
from schemas.names import BadName, check_function, check_queue
from schemas.telemetry.context import traceparent

P = ParamSpec("P")
R = TypeVar("R")

Run = Literal["async", "threads", "processes"]

HEARTBEATS_PER_TIMEOUT = 4
"""How many heartbeats fit into the silence after which an attempt counts as lost."""
BYTES_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """What follows a failed attempt. What is left None is as the service's defaults say. Times in seconds.

    Attributes:
        kind: Curve of the delays.
        initial: First delay.
        factor: Growth per attempt (exponential), or the power of the attempt's number (polynomial).
        cap: Longest delay.
        jitter: Share of a delay that is added or taken away, 0 to 1.
        attempts: How many attempts may fail before the job is dead.
        lost: How many attempts may be lost with their minion before the job is dead.
        non_retryable: Errors after which there is no further attempt: classes (theirs, and those derived from
        them,
            where this function raises them) or names as status pages show them.
    """

    kind: Literal["constant", "linear", "exponential", "polynomial"] | None = None
    initial: Seconds | None = None
    factor: float | None = None
    cap: Seconds | None = None
    jitter: float | None = None
    attempts: int | None = None
    lost: int | None = None
    non_retryable: tuple[type[BaseException] | str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """What it says, as fields of a Submission.

        Raises:
            BadRequest: A value of the wrong kind or outside its limits.
        """
        found = {
            "retry_kind": self.kind,
            "retry_initial_ms": milliseconds("initial", self.initial),
            "retry_factor": self.factor,
            "retry_cap_ms": milliseconds("cap", self.cap),
            "retry_jitter": self.jitter,
            "attempts_max": self.attempts,
            "lost_max": self.lost,
            "non_retryable": tuple(map(error_name, self.non_retryable)),
        }
        if self.kind not in (None, "constant", "linear", "exponential", "polynomial"):
            raise BadRequest(f"kind must be constant, linear, exponential or polynomial, got {self.kind!r}")
        for name, value, least, most in (
            ("factor", self.factor, defaults.RETRY_FACTOR_MIN, defaults.RETRY_FACTOR_MAX),
            ("jitter", self.jitter, 0, defaults.RETRY_JITTER_MAX),
            ("attempts", self.attempts, 1, defaults.ATTEMPTS_MAX_MAX),
            ("lost", self.lost, 1, defaults.LOST_MAX_MAX),
        ):
            if value is not None and not least <= value <= most:
                raise BadRequest(f"{name} must be from {least} to {most}, got {value!r}")
        return {name: value for name, value in found.items() if value not in (None, ())}

    def refuses(self, error: BaseException) -> bool:
        """True if no further attempt shall follow the error."""
        return any(
            isinstance(error, each) if isinstance(each, type) else error_name(type(error)) == each
            for each in self.non_retryable
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """That no other job does the same: the same function, queue, key and arguments.

    Attributes:
        only: When another job stands in the way: while it is `queued` (waits to be started), `running`,
            `both`, or for a `window` since it was asked for, whatever became of it.
        window: How long that is, in seconds.
        fields: Names of the arguments that count; all of them if left out.
        then: What becomes of the request: `duplicate` (the other job is the answer), or `replace` (the other
            one is cancelled for it, unless it was started).
    """

    only: Literal["queued", "running", "both", "window"] | None = None
    window: Seconds | None = None
    fields: tuple[str, ...] = ()
    then: Literal["duplicate", "replace"] = "duplicate"

    def text(self) -> str:
        """As a request says it.

        Raises:
            BadRequest: A value that cannot be.
        """
        said = {"while": self.only, "window_ms": milliseconds("window", self.window), "then": self.then}
        given = {name: value for name, value in said.items() if value is not None}
        return json.dumps({**given, "fields": [*self.fields]} if self.fields else given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One job to ask for, before a client writes it: the fields of JobRequest, with args as a value. None: by
    default.

    `args` is a dict of keyword arguments, a list of positional ones, or bytes that the function takes as they
    are (then `content_type` says what they are). `delay_ms` counts from the moment of submission, `run_at_ms`
    is epoch ms.
    """

    function: str
    args: dict[str, Any] | list[Any] | bytes | None = None
    content_type: str = defaults.CONTENT_TYPE
    id: str | None = None
    queue: str = defaults.QUEUE
    key: str | None = None
    run_at_ms: int | None = None
    delay_ms: int | None = None
    expires_at_ms: int | None = None
    deadline_ms: int | None = None
    timeout_ms: int | None = None
    heartbeat_timeout_ms: int | None = None
    expected_ms: int | None = None
    retry_kind: str | None = None
    retry_initial_ms: int | None = None
    retry_factor: float | None = None
    retry_cap_ms: int | None = None
    retry_jitter: float | None = None
    attempts_max: int | None = None
    lost_max: int | None = None
    non_retryable: tuple[str, ...] = ()
    priority: str | None = None
    tags: tuple[str, ...] = ()
    parent: str | None = None
    trace: str | None = None
    expires_after_ms: int | None = None
    retention_ms: int | None = None
    result_retention_ms: int | None = None
    unique: str | None = None


class Options(TypedDict, total=False):
    """What one submission may say otherwise than its function. Times in seconds, or as datetime and
    timedelta.
    """

    id: str
    queue: str
    key: str
    run_at: datetime
    delay: Seconds
    expires_at: datetime
    deadline: Seconds
    timeout: Seconds
    expected: Seconds
    retry: Retry
    priority: Literal["high", "normal", "low", 1, 2, 3, 4, 5]
    tags: Iterable[str]
    expires_after: Seconds
    retention: Seconds
    result_retention: Seconds
    unique: Unique


Submitter = Callable[[Submission], Awaitable[Any]]
"""Writes a submission and gives a handle of its job; a client is one."""

_submitter: contextvars.ContextVar[Submitter | None] = contextvars.ContextVar(
    "jobstream_submitter", default=None
)
_installed: dict[Submitter, asyncio.AbstractEventLoop | None] = {}
"""Submitters of clients that are open, the latest last, and the loops they live on (None: on any), for code
whose context knows none.
"""


def set_submitter(submitter: Submitter, *, anywhere: bool = False) -> Callable[[], None]:
    """Makes `submitter` what `.submit` uses, first of all in the calling context; returns what takes it back.

    Called on the event loop that the submitter lives on; it counts as gone when that loop is closed. With
    `anywhere` it needs no loop, and lives until it is taken back.
    """
    _submitter.set(submitter)
    _installed[submitter] = None if anywhere else asyncio.get_running_loop()

    def remove() -> None:
        _installed.pop(submitter, None)
        if _submitter.get() is submitter:
            _submitter.set(None)

    return remove


def _latest() -> Submitter | None:
    """The context's submitter, else the one installed last; None if there is none that lives."""
    live = [each for each, loop in _installed.items() if loop is None or not loop.is_closed()]
    found = _submitter.get()
    if found in live:
        return found
    return live[-1] if live else None


async def submitter() -> Submitter:
    """What `.submit` uses: the context's client, else the one opened last, else a default one that is opened
    now.
    """
    found = _latest()
    if found is not None:
        return found
    from jobstream import client

    await client.open_default()
    opened = _latest()
    assert opened is not None, "a client that is open must be a submitter"
    return opened


class Function(Generic[P, R]):
    """A declared function: calling it calls the function, `submit` asks for a job that runs it.

    Attributes:
        name: What jobs call it.
        queue: Queue that its jobs go to unless a submission says otherwise.
        run: Where minions run it: on the event loop, in threads, or in processes.
        heartbeat: "auto", "off", or seconds between heartbeats.
        retry: What follows a failed attempt; None: the service's defaults.
        coalesce, cache_ms, cache_key: What relays do with equal foreground calls.
        get_cache: Asked for the answer before the function runs.
        schedules: When it runs by itself.
        call: The function itself.
    """

    def __init__(self, call: Callable[P, R], *, name: str | None, queue: str, run: Run | None) -> None:
        if inspect.isasyncgenfunction(call) or inspect.isgeneratorfunction(call):
            raise BadFunction(f"a function must return its result, got the generator {call.__qualname__}")
        functools.update_wrapper(self, call)
        self.call = call
        self.is_async = inspect.iscoroutinefunction(call)
        self.name = name if name is not None else f"{_module_name(call)}.{call.__qualname__}"
        self.queue = queue
        self.run: Run = run if run is not None else ("async" if self.is_async else "threads")
        self.timeout_ms: int | None = None
        self.expected_ms: int | None = None
        self.heartbeat: Literal["auto", "off"] | float = "auto"
        self.retry: Retry | None = None
        self.coalesce = False
        self.cache_ms = 0
        self.cache_key: tuple[str, ...] = ()
        self.get_cache: Callable[[Request], Any] | None = None
        self.schedules: tuple[Schedule, ...] = ()
        self.signature = inspect.signature(call)
        self.context_name = _context_name(call, self.signature)
        self._check()

    def _check(self) -> None:
        try:
            check_function(self.name)
            check_queue(self.queue)
        except BadName as error:
            raise BadFunction(
                f"{self.call.__qualname__} cannot be declared (name=… and queue=…): {error}"
            ) from error
        if self.run not in ("async", "threads", "processes"):
            raise BadFunction(f"run must be 'async', 'threads' or 'processes', got {self.run!r}")
        if self.is_async != (self.run == "async"):
            kind = "an async function" if self.is_async else "a plain function"
            raise BadFunction(f"run must be 'async' for async functions alone, got {self.run!r} for {kind}")
        if self.run == "processes" and "<locals>" in self.call.__qualname__:
            raise BadFunction(
                f"a function in processes must stand at the top of its module, got {self.call.__qualname__}"
            )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function, here and now."""
        return self.call(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<jobstream function {self.name}>"

    def __reduce__(self) -> str:
        return self.call.__qualname__

    def request(self, *args: Any, **kwargs: Any) -> Submission:
        """The job that `submit` would ask for, without asking.

        Raises:
            BadArguments: They do not fit the function.
        """
        return self._submission(args, kwargs, {})

    async def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Asks for a job that calls the function with these arguments; returns its handle once Kafka has it.

        `ctx` and resources are left out: the minion adds them. Arguments must be JSON values, or one bytes
        value alone.

        Raises:
            BadArguments: They do not fit the function.
            SubmitFailed, SubmitTimedOut: As Client.submit.
        """
        return await (await submitter())(self._submission(args, kwargs, {}))

    def submit_with(self, **options: Unpack[Options]) -> "Prepared":
        """The function with options for one submission: `await f.submit_with(delay=60, key="a")(x=1)`.

        Raises:
            BadRequest: An option that there is not, or a value outside its limits.
        """
        return Prepared(self, option_fields(options))

    def hidden(self) -> frozenset[str]:
        """Names of the parameters that a minion fills: the context and declared resources."""
        names = {name for name in self.signature.parameters if name in resources.DECLARED}
        return frozenset(names | {self.context_name} if self.context_name else names)

    def callers_signature(self) -> inspect.Signature:
        """The signature without what a minion fills."""
        hidden = self.hidden()
        kept = [each for name, each in self.signature.parameters.items() if name not in hidden]
        return self.signature.replace(parameters=kept)

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> dict[str, Any] | list[Any] | bytes | None:
        """The arguments as a job carries them, checked against the signature.

        Raises:
            BadArguments: They do not fit.
        """
        for name in kwargs:
            if name in self.hidden():
                raise BadArguments(f"{self.name} must not be given {name!r}: the minion fills it")
        signature = self.callers_signature()
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise BadArguments(
                f"{self.name} must be called as {self.name}{signature}, got: {error}"
            ) from error
        if len(args) == 1 and not kwargs and isinstance(args[0], bytes):
            return args[0]
        if not bound.arguments:
            return None
        if not bound.args or not _needs_positions(signature, bound):
            return _by_name(signature, bound)
        if bound.kwargs:
            raise BadArguments(
                f"{self.name} takes some arguments by position only, so it must be submitted with positional "
                f"or with keyword arguments, got both"
            )
        return list(bound.args)

    def _submission(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], fields: dict[str, Any]
    ) -> Submission:
        bound = self.bind(args, kwargs)
        outer = current()
        made = Submission(
            function=self.name,
            args=bound,
            content_type=BYTES_TYPE if isinstance(bound, bytes) else defaults.CONTENT_TYPE,
            queue=self.queue,
            timeout_ms=self.timeout_ms,
            heartbeat_timeout_ms=self._heartbeat_timeout_ms(fields.get("timeout_ms", self.timeout_ms)),
            expected_ms=self.expected_ms,
            parent=outer.job_id if outer is not None else None,
            trace=traceparent() or (outer.trace if outer is not None else None),
        )
        retry = self.retry.fields() if self.retry is not None else {}
        made = replace(made, **{**retry, **fields})
        encode_args(made.args)
        return made

    def _heartbeat_timeout_ms(self, timeout_ms: int | None) -> int | None:
        """The silence to allow: as the heartbeats are spaced; as long as an attempt lasts where there are
        none.
        """
        if self.heartbeat == "auto":
            return None
        if self.heartbeat == "off":
            wanted = timeout_ms if timeout_ms is not None else defaults.TIMEOUT_MS
        else:
            wanted = int(self.heartbeat * 1_000 * HEARTBEATS_PER_TIMEOUT)
        return min(max(wanted, defaults.HEARTBEAT_TIMEOUT_MS_MIN), defaults.HEARTBEAT_TIMEOUT_MS_MAX)


@dataclass(frozen=True, slots=True)
class Request:
    """What a `get_cache` is asked: a call of its function that is about to run.

    Attributes:
        function: Its name.
        args: A dict of keyword arguments, a list of positional ones, or None; bytes are a list of one.
        job_id: Id of the job, or the unique id of the call.
        foreground: Whether somebody waits for it.
    """

    function: str
    args: dict[str, Any] | list[Any] | None
    job_id: str
    foreground: bool


class Prepared:
    """A function with options for one submission; calling it submits."""

    def __init__(self, function: Function[..., Any], fields: dict[str, Any]) -> None:
        self._function = function
        self._fields = fields

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As Function.submit."""
        return await (await submitter())(self.request(*args, **kwargs))

    def request(self, *args: Any, **kwargs: Any) -> Submission:
        """As Function.request."""
        return self._function._submission(args, kwargs, self._fields)  # noqa: SLF001  # the other half of Function


DECLARED: dict[tuple[str, str], Function[..., Any]] = {}
"""Every function that any imported module declares, by module and qualified name."""


@overload
def function(declared: Callable[P, R]) -> Function[P, R]: ...
@overload
def function(
    *,
    name: str | None = None,
    queue: str = defaults.QUEUE,
    timeout: Seconds | None = None,
    retry: Retry | None = None,
    heartbeat: Literal["auto", "off"] | Seconds = "auto",
    expected: Seconds | None = None,
    run: Run | None = None,
    schedule: str | Schedule | Iterable[Schedule] | None = None,
    coalesce: bool = False,
    cache: Seconds | None = None,
    cache_key: Iterable[str] = (),
    get_cache: Callable[["Request"], Any] | None = None,
) -> Callable[[Callable[P, R]], Function[P, R]]: ...
def function(  # noqa: PLR0913  # a function's options are its arguments
    declared: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    queue: str = defaults.QUEUE,
    timeout: Seconds | None = None,
    retry: Retry | None = None,
    heartbeat: Literal["auto", "off"] | Seconds = "auto",
    expected: Seconds | None = None,
    run: Run | None = None,
    schedule: str | Schedule | Iterable[Schedule] | None = None,
    coalesce: bool = False,
    cache: Seconds | None = None,
    cache_key: Iterable[str] = (),
    get_cache: Callable[["Request"], Any] | None = None,
) -> Any:
    """Declares a function that jobs run; it stays as callable as it was. Times in seconds.

    Args:
        declared: The function, where the decorator stands without options.
        name: What jobs call it; by default its module and qualified name (of a script: the file's name).
        queue: Queue of its jobs.
        timeout: How long one attempt may take, from the moment a minion is given it.
        retry: What follows a failed attempt.
        heartbeat: "auto": by the SDK, as often as the relay asks, once an attempt has run a second. Seconds:
        that
            far apart, and silence is noticed after four times that. "off": none but what `ctx` tells, and
            silence is noticed at the timeout only.
        expected: How long an attempt usually takes; longer is shown as slow.
        run: "threads" (plain functions, unless told otherwise), "processes", or "async" (async ones, always).
        schedule: When it runs by itself: an expression as `0 3 * * *`, a Schedule, or several of them. In
            force once `jobstream schedules apply` (or `Client.declare_schedules`) was told of its module.
        coalesce: Foreground calls with equal arguments, while they are under way at a relay, share one run.
        cache: For how long a relay gives an answer again to foreground calls with equal arguments.
        cache_key: The keyword arguments that count for `coalesce` and `cache`; all, if left out.
        get_cache: A function (plain, or async if this one is) that is given the Request before this one runs,
            also for durable jobs. What it returns, if not None, is the answer, and this one does not run;
            what it raises is a miss.

    Raises:
        BadFunction: A name outside its pattern, or a function that cannot be run so.
        BadRequest: A time, a retry policy or a schedule outside its limits.
    """

    def declare(target: Callable[..., Any]) -> Function[..., Any]:
        made: Function[..., Any] = Function(target, name=name, queue=queue, run=run)
        made.timeout_ms = milliseconds_within(
            "timeout", timeout, defaults.TIMEOUT_MS_MIN, defaults.TIMEOUT_MS_MAX
        )
        made.expected_ms = milliseconds("expected", expected)
        made.heartbeat = _heartbeat(heartbeat)
        if retry is not None:
            retry.fields()
            made.retry = retry
        made.coalesce = coalesce
        made.cache_ms = milliseconds_within("cache", cache, 0, defaults.CACHE_MS_MAX) or 0
        made.cache_key = tuple(cache_key)
        if inspect.iscoroutinefunction(get_cache) and not made.is_async:
            raise BadFunction(f"an async get_cache must be of an async function, got the plain {made.name}")
        made.get_cache = get_cache
        made.schedules = schedules_of(schedule)
        DECLARED[target.__module__, target.__qualname__] = made
        return made

    return declare if declared is None else declare(declared)


def encode_args(args: Any) -> bytes | None:
    """A submission's args as bytes: bytes as they are, else JSON; None where there are none.

    Raises:
        BadArguments: Not JSON, or above the limit.
    """
    if args is None:
        return None
    try:
        encoded = args if isinstance(args, bytes) else encode_json(args)
    except (TypeError, ValueError) as error:
        raise BadArguments(
            f"arguments must be JSON values, or one bytes value alone, got: {error}"
        ) from error
    if len(encoded) > defaults.ARGS_BYTES_MAX:
        raise BadArguments(
            f"arguments must be at most {defaults.ARGS_BYTES_MAX} bytes, got {len(encoded)} bytes"
        )
    return encoded


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def encode_json(value: Any) -> bytes:
    """JSON without spaces, UTF-8, and without NaN or infinities.

    Raises:
        TypeError, ValueError: Not a JSON value.
    """
    return _encode(value).encode()


def error_name(error: type[BaseException] | str) -> str:
    """What status pages call an error: bare for Python's and Jobstream's own, with its module otherwise."""
    if isinstance(error, str):
        return error
    bare = error.__module__ in ("builtins", "jobstream.errors")
    return (error.__qualname__ if bare else f"{error.__module__}.{error.__qualname__}")[
        : defaults.ERROR_TYPE_CHARS_MAX
    ]


def _heartbeat(value: Literal["auto", "off"] | Seconds) -> Literal["auto", "off"] | float:
    if value in ("auto", "off"):
        return cast("Literal['auto', 'off']", value)
    if isinstance(value, str):
        raise BadRequest(f"heartbeat must be 'auto', 'off' or seconds, got {value!r}")
    most_ms = defaults.HEARTBEAT_TIMEOUT_MS_MAX // HEARTBEATS_PER_TIMEOUT
    found_ms = milliseconds_within("heartbeat", value, 100, most_ms)
    assert found_ms is not None
    return found_ms / 1_000


def option_fields(options: Options) -> dict[str, Any]:
    """Options of one submission as fields of Submission."""
    unknown = options.keys() - Options.__annotations__.keys()
    if unknown:
        names = ", ".join(sorted(Options.__annotations__))
        raise BadRequest(f"options must be among {names}, got {', '.join(sorted(unknown))}")
    fields: dict[str, Any] = {name: options[name] for name in _AS_THEY_ARE & options.keys()}  # type: ignore[literal-required]
    for name in ("delay", "deadline", "expected", "expires_after", "retention", "result_retention"):
        if name in options:
            fields[f"{name}_ms"] = milliseconds(name, options[name])
    if "timeout" in options:
        fields["timeout_ms"] = milliseconds_within(
            "timeout", options["timeout"], defaults.TIMEOUT_MS_MIN, defaults.TIMEOUT_MS_MAX
        )
    for name in ("run_at", "expires_at"):
        if name in options:
            fields[f"{name}_ms"] = epoch_ms(name, options[name])  # type: ignore[literal-required]
    return fields | _worded(options)


def _worded(options: Options) -> dict[str, Any]:
    """Those of the options that a request says in another form."""
    fields: dict[str, Any] = {}
    if "priority" in options:
        fields["priority"] = str(options["priority"])
    if "unique" in options:
        fields["unique"] = options["unique"].text()
    if "tags" in options:
        fields["tags"] = tuple(options["tags"])
    if "retry" in options:
        fields.update(options["retry"].fields())
    return fields


_AS_THEY_ARE = {"id", "queue", "key"}


def _module_name(call: Callable[..., Any]) -> str:
    """The module's name; of the main module, what it would be called if it were imported."""
    if call.__module__ not in ("__main__", "__mp_main__"):
        return call.__module__
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    return Path(getattr(main, "__file__", None) or "main").stem


def _context_name(call: Callable[..., Any], signature: inspect.Signature) -> str | None:
    """The parameter that is given the context: the one annotated with Context, else the one called `ctx`."""
    try:
        hints = typing.get_type_hints(call)
    except Exception:  # noqa: BLE001  # an annotation that cannot be read yet is no reason to refuse the function
        hints = {}
    found = [name for name in signature.parameters if hints.get(name) is Context]
    if not found and "ctx" in signature.parameters:
        found = ["ctx"]
    if len(found) > 1:
        raise BadFunction(f"a function must take one Context at most, got {', '.join(found)}")
    if found and signature.parameters[found[0]].kind is inspect.Parameter.POSITIONAL_ONLY:
        raise BadFunction(f"the Context must be a parameter that can be given by name, got {found[0]!r}")
    return found[0] if found else None


def _needs_positions(signature: inspect.Signature, bound: inspect.BoundArguments) -> bool:
    """True if some of the arguments cannot be given by name."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    return any(signature.parameters[name].kind in kinds for name in bound.arguments)


def _by_name(signature: inspect.Signature, bound: inspect.BoundArguments) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        else:
            named[name] = value
    return named
