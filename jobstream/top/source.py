"""Where the terminal view has its numbers from: the HTTP service. Blocks; who shows uses a thread."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from jobstream.errors import NotReachable

ANSWER_S = 5.0
"""How long the service may take to answer."""

ANSWER_BYTES_MAX = 16 * 1024 * 1024

JOBS_SHOWN = 100

_OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

Answer = dict[str, Any]


class Source:
    """The HTTP service at one address."""

    def __init__(self, url: str, token: str = "") -> None:
        """`token` is shown to the service, if it wants one."""
        self.url = url.rstrip("/")
        self._headers = {"Accept": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )

    def overview(self) -> Answer:
        """What goes on now. NotReachable."""
        return self._ask("/overview")

    def jobs(self, query: Mapping[str, str]) -> list[Answer]:
        """Jobs that fit, the newest first. NotReachable."""
        found: list[Answer] = self._ask("/jobs", {**query, "limit": str(JOBS_SHOWN)})["jobs"]
        return found

    def job(self, id: str, key: str | None) -> Answer:
        """One job. NotReachable, also if there is none."""
        return self._ask(f"/job/{urllib.parse.quote(id, safe='')}", {"key": key} if key else {})

    def _ask(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        url = self.url + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = urllib.request.Request(url, headers=self._headers)  # noqa: S310  # the address of the settings
        try:
            with _OPEN(request, timeout=ANSWER_S) as answer:
                found: Answer = json.loads(answer.read(ANSWER_BYTES_MAX))
                return found
        except urllib.error.HTTPError as error:
            with error:
                raise NotReachable(_sentence(error)) from None
        except (OSError, HTTPException) as error:
            why = getattr(error, "reason", error)
            raise NotReachable(f"the HTTP service does not answer at {self.url}: {why}") from None
        except ValueError:
            raise NotReachable(f"what answers at {self.url} is no HTTP service of ours") from None


def _sentence(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(ANSWER_BYTES_MAX))["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"the HTTP service answered {error.code}"
