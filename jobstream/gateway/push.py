"""Functions behind a URL: a minion in the gateway that calls them over HTTP, and ends their attempts.

A function is called with its job and answers by its response, or before that by its receipt. It must never be
called for a lease that the minion does not hold; what else is true of minions (beats, drains, lost leases)
is the minion's.
"""

import asyncio
import json
import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from jobstream.context import Context
from jobstream.errors import BadFunction, Fail, JobstreamError, NonRetryable, Snooze
from jobstream.functions import Function
from schemas.keys import home
from schemas.words import Outcome

log = logging.getLogger("gateway.push")

CONNECT_S = 5.0
RESULT_BYTES_MAX = 1024 * 1024
"""Of a response, decoded; the limit of results is the minion's to keep."""
RESPONSE_S = 60.0
"""How long a response may take to end after the receipt of its attempt; then it is broken off."""
WORDS_CHARS_MAX = 500
"""Of a response that tells of a failure, taken into the error."""
CONNECTIONS_MAX = 200
_FIELDS = frozenset({"url", "queue"})


class BadPushes(JobstreamError):
    """A file of functions behind URLs that cannot be; the text is one sentence."""


@dataclass(frozen=True)
class Pushed:
    """One function, and where it is called."""

    name: str
    url: str
    queue: str


def read_pushes(text: str) -> tuple[Pushed, ...]:
    """The functions of a file: `["mail.send"]`, `url = "http://..."`, `queue = "default"`. BadPushes else."""
    try:
        file = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadPushes(f"http_push must be TOML: {error}") from None
    return tuple(_read(name, entry) for name, entry in file.items())


def _read(name: str, entry: Any) -> Pushed:
    if not isinstance(entry, dict) or not entry.keys() <= _FIELDS:
        raise BadPushes(f"function {name} must be a table with url and queue, got {entry!r:.200}")
    url = entry.get("url")
    if (
        not isinstance(url, str)
        or urlsplit(url).scheme not in {"http", "https"}
        or not urlsplit(url).hostname
    ):
        raise BadPushes(f"url of function {name} must be an http or https address, got {url!r:.200}")
    return Pushed(name, url, entry.get("queue", "default"))


class Pushes:
    """What a gateway pushes. `functions()` is for its Minion, `take` for its door."""

    def __init__(self, pushed: tuple[Pushed, ...], own_url: str, secret: bytes, partitions: int) -> None:
        """`own_url` is where receipts are sent to; `secret` signs the tokens of attempts."""
        self._pushed = pushed
        self._own_url = own_url
        self._secret = secret
        self._partitions = partitions
        self._waiting: dict[tuple[str, int], asyncio.Future[Mapping[str, Any]]] = {}
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=CONNECT_S),  # the attempt's timeout bounds it
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            trust_env=False,
        )

    def functions(self) -> list[Function[..., Any]]:
        """The functions, as a minion runs them. BadPushes if one cannot be."""
        try:
            return [
                Function(self._caller(each), name=each.name, queue=each.queue, run="async")
                for each in self._pushed
            ]
        except BadFunction as bad:
            raise BadPushes(f"http_push: {bad}") from None

    def take(self, job: str, epoch: int, fields: Mapping[str, Any]) -> bool:
        """A receipt came; whether it is of an attempt that waits for it here."""
        future = self._waiting.get((job, epoch))
        if future is None or future.done():
            return False
        future.set_result(fields)
        return True

    async def close(self) -> None:
        """Closes its connections."""
        await self._http.aclose()

    def _caller(self, pushed: Pushed) -> Any:
        async def push(*args: Any, ctx: Context, **kwargs: Any) -> Any:
            return await self._push(pushed, kwargs or (list(args) if args else None), ctx)

        return push

    async def _push(self, pushed: Pushed, args: Any, ctx: Context) -> Any:
        place = ctx.job_id, ctx.epoch
        receipt = self._waiting[place] = asyncio.get_running_loop().create_future()
        asking = asyncio.ensure_future(self._ask(pushed, args, ctx))
        try:
            await asyncio.wait({receipt, asking}, return_when=asyncio.FIRST_COMPLETED)
            if not receipt.done():
                response, body = asking.result()
                if response.status_code != HTTPStatus.ACCEPTED:
                    return _of_response(response, body)
            return _of_receipt(await receipt)
        except httpx.HTTPError as error:
            raise _error(type(error).__name__, f"{pushed.url} does not answer: {error}") from None
        finally:
            del self._waiting[place]
            if not receipt.done():  # the attempt is over, by its time or by a word: so is the request
                asking.cancel()
            elif not asking.done():  # the receipt came first; how the response ends is nobody's business
                asyncio.get_running_loop().call_later(RESPONSE_S, asking.cancel)
                asking.add_done_callback(_forget)

    async def _ask(self, pushed: Pushed, args: Any, ctx: Context) -> tuple[httpx.Response, bytes]:
        from relay.doors.http.attempt import Attempt, sign

        attempt = Attempt(
            job=ctx.job_id,
            key=ctx.key,
            partition=home(ctx.key, self._partitions),
            queue=ctx.queue,
            function=ctx.function,
            attempt=ctx.attempt,
            epoch=ctx.epoch,
            assigned_at_ms=ctx.deadline_ms - ctx.timeout_ms,
            timeout_ms=ctx.timeout_ms,
            minion=f"push:{pushed.name}",
        )
        base = f"{self._own_url}/job/{quote(ctx.job_id)}"
        token = sign(attempt, self._secret)
        body = {
            "id": ctx.job_id,
            "function": ctx.function,
            "queue": ctx.queue,
            "key": ctx.key,
            "args": args,
            "attempt": ctx.attempt,
            "epoch": ctx.epoch,
            "timeout_ms": ctx.timeout_ms,
            "token": token,
            "receipt": f"{base}/receipt",
            "heartbeat": f"{base}/heartbeat",
        }
        headers = {"X-Job-Token": token}
        said = bytearray()
        async with self._http.stream("POST", pushed.url, json=body, headers=headers) as response:
            async for part in response.aiter_bytes():
                said += part
                if len(said) > RESULT_BYTES_MAX:
                    sentence = f"a response must have at most {RESULT_BYTES_MAX} bytes, got more"
                    raise _error("ResultTooLarge", sentence, final=True)
        return response, bytes(said)


def _of_response(response: httpx.Response, body: bytes) -> Any:
    """What a function returned with its response. Raises what it failed with."""
    if response.is_success:
        if not body:
            return None
        try:
            return json.loads(body)
        except ValueError:
            return body.decode(errors="replace")
    said = body.decode(errors="replace")[:WORDS_CHARS_MAX]
    words = f"{response.status_code} {response.reason_phrase}: {said}"
    after = response.headers.get("retry-after", "")
    raise _error(
        f"Http{response.status_code}", words, retry_after=float(after[:9]) if after.isdigit() else None
    )


def _of_receipt(fields: Mapping[str, Any]) -> Any:
    """What a function returned with its receipt. Raises what it failed with."""
    match fields["outcome"]:
        case Outcome.SUCCESS:
            return None if fields.get("result") is None else json.loads(fields["result"])
        case Outcome.SNOOZE:
            raise Snooze((fields.get("snooze_ms") or 0) / 1_000)
        case Outcome.CANCELLED:
            from jobstream.errors import Cancelled

            raise Cancelled("the function stopped")
    after_ms = fields.get("retry_after_ms")
    raise _error(
        fields["error_type"],
        fields["error_message"],
        final=fields["non_retryable"],
        retry_after=None if after_ms is None else after_ms / 1_000,
    )


def _error(name: str, words: str, *, final: bool = False, retry_after: float | None = None) -> Exception:
    """An error that is called as the function's own was."""
    if final:
        kind: type[Exception] = type(name, (NonRetryable,), {"__module__": "builtins"})
        return kind(words)
    failed = type(name, (Fail,), {"__module__": "builtins"})
    error: Exception = failed(words, retry_after=retry_after)
    return error


def _forget(asking: "asyncio.Future[tuple[httpx.Response, bytes]]") -> None:
    if not asking.cancelled() and asking.exception() is not None:
        log.info("a response was not heard after its receipt: %s", asking.exception())
