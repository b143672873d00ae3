"""Asks the status pages over HTTP, with nothing but the standard library. It knows their addresses and
nothing else.

The pages answer from the tables that the service keeps; they only ever read. What they say is handed on as
it is.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from jobstream.errors import JobstreamError, JobUnknown, NotReachable

ANSWER_S = 10.0
"""How long the pages may take to answer."""
ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""Largest answer that is read."""

_OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""Proxies of the environment are for other people's pages; these are on loopback."""
_NOT_FOUND = 404
_UNAVAILABLE = 503


class Pages:
    """The status pages at one address. Every call blocks; callers with an event loop use a thread."""

    def __init__(self, web: str) -> None:
        self.web = web

    def status(self, id: str, key: str | None = None) -> dict[str, Any]:
        """One job: its phase, its plan, why it waits, its attempts.

        Raises:
            JobUnknown: No such job is kept.
            NotReachable: The pages do not answer, or not for all partitions at the moment.
        """
        try:
            return self._ask(f"/jobstream/job/{urllib.parse.quote(id, safe='')}", {"key": key})
        except urllib.error.HTTPError as error:
            if error.code == _NOT_FOUND:
                raise JobUnknown(_sentence(error) or f"no job {id} is kept") from None
            raise self._failed(error) from None

    def list(self, queue: str, phase: str | None = None, limit: int | None = None) -> dict[str, Any]:
        """The jobs of a queue, the newest first.

        Raises:
            NotReachable: The pages do not answer.
        """
        return self._page(
            f"/jobstream/queue/{urllib.parse.quote(queue, safe='')}", {"phase": phase, "limit": limit}
        )

    def counts(self) -> dict[str, Any]:
        """How many jobs are in each phase of each queue.

        Raises:
            NotReachable: The pages do not answer.
        """
        return self._page("/jobstream/counts")

    def schedules(self, id: str | None = None) -> dict[str, Any]:
        """Every schedule with its next fire, or one with those to come.

        Raises:
            JobUnknown: There is no such schedule.
            NotReachable: The pages do not answer.
        """
        try:
            return self._ask("/jobstream/schedules", {"id": id})
        except urllib.error.HTTPError as error:
            if error.code == _NOT_FOUND:
                raise JobUnknown(_sentence(error) or f"no schedule {id} is kept") from None
            raise self._failed(error) from None

    def health(self) -> dict[str, Any]:
        """What the service says of itself.

        Raises:
            NotReachable: The pages do not answer, or the service is not ready.
        """
        return self._page("/jobstream/health")

    def _page(self, path: str, query: Mapping[str, object] | None = None) -> dict[str, Any]:
        try:
            return self._ask(path, query or {})
        except urllib.error.HTTPError as error:
            raise self._failed(error) from None

    def _ask(self, path: str, query: Mapping[str, object]) -> dict[str, Any]:
        given = {name: value for name, value in query.items() if value is not None}
        url = self.web + path + ("?" + urllib.parse.urlencode(given) if given else "")
        request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310  # web_of checked it
        try:
            with _OPEN(request, timeout=ANSWER_S) as answer:
                page: dict[str, Any] = json.loads(answer.read(ANSWER_BYTES_MAX))
                return page
        except urllib.error.HTTPError:
            raise
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            reason = getattr(reason, "strerror", None) or reason
            raise NotReachable(f"the status pages do not answer at {self.web}: {reason}") from None
        except ValueError as error:
            raise NotReachable(f"what answers at {self.web} is not the status pages: {error}") from None

    def _failed(self, error: urllib.error.HTTPError) -> JobstreamError:
        said = _sentence(error) or error.reason
        if error.code == _UNAVAILABLE:
            return NotReachable(f"the status pages at {self.web} cannot answer at the moment: {said}")
        return NotReachable(f"the status pages at {self.web} answered {error.code}: {said}")


def _sentence(error: urllib.error.HTTPError) -> str | None:
    """What an answer with an error says in its body, if it says it in the way of the pages."""
    try:
        said = json.loads(error.read(ANSWER_BYTES_MAX)).get("error")
    except (ValueError, OSError, AttributeError):
        return None
    return said if isinstance(said, str) else None
