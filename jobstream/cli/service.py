"""How verbs ask the HTTP service: the address, the token, the answer, and the error that a refusal is.

The standard library speaks HTTP here, so that a verb starts at once.
"""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobstream.cli.options import settings_of
from jobstream.errors import BadRequest, CommandRefused, JobUnknown, NotReachable

if TYPE_CHECKING:
    from http.client import HTTPResponse

ANSWER_S = 120.0
"""How long the service may take: it may cancel 10,000 jobs."""

Token = Annotated[
    str | None,
    typer.Option("--token", envvar="JOBSTREAM_TOKEN", help="Bearer token of the HTTP service."),
]


def ask(
    http: str | None,
    token: str | None,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    query: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The JSON of an answer.

    Args:
        http: What `--http` says: host:port, or a whole URL; None for the setting's.
        token: What `--token` says.
        method: The method.
        path: The path, quoted.
        body: What is sent, but for what is None.
        query: The parameters, but for those that are None.

    Raises:
        NotReachable, BadRequest, JobUnknown, CommandRefused: With the sentence of the service.
    """
    answer = text(http, token, method, path, body, query=query)
    try:
        told: dict[str, Any] = json.loads(answer)
    except ValueError:
        raise NotReachable(f"what answers is no HTTP service of ours: {answer!r:.100}") from None
    return told


def text(
    http: str | None,
    token: str | None,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    query: dict[str, Any] | None = None,
) -> bytes:
    """As `ask`, whatever the answer is."""
    asked = _Asked(http, token, method, path, body, query or {})
    try:
        with asked.opened() as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise _refused(error) from None
    except (OSError, HTTPException, ValueError) as error:
        raise asked.away(error) from None


def lines(http: str | None, token: str | None, path: str, query: dict[str, Any]) -> Iterator[str]:
    """The lines of an answer, as they come. Raises as `ask`."""
    asked = _Asked(http, token, "GET", path, None, query)
    try:
        with asked.opened() as answer:
            for line in answer:
                yield line.decode().rstrip("\n")
    except urllib.error.HTTPError as error:
        raise _refused(error) from None
    except (OSError, HTTPException) as error:
        raise asked.away(error) from None


class _Asked:
    """One question."""

    def __init__(
        self,
        http: str | None,
        token: str | None,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        query: dict[str, Any],
    ) -> None:
        whole = http is not None and "://" in http
        settings = settings_of() if whole else settings_of(http=http)
        self._certificate = settings.http_cert
        self.url = http.rstrip("/") if whole and http is not None else settings.http_url
        given = {name: found for name, found in query.items() if found is not None}
        said = None if body is None else {name: found for name, found in body.items() if found is not None}
        headers = {"Content-Type": "application/json", "Accept": "*/*"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._request = urllib.request.Request(  # noqa: S310  # http, https, or as typed
            self.url + path + ("?" + urllib.parse.urlencode(given) if given else ""),
            None if said is None else json.dumps(said).encode(),
            headers,
            method=method,
        )

    def opened(self) -> "HTTPResponse":
        """The answer, once it begins; a proxy of the environment is for other people's pages."""
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self.url.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=self._trusted()))
        answer: HTTPResponse = urllib.request.build_opener(*handlers).open(self._request, timeout=ANSWER_S)
        return answer

    def _trusted(self) -> ssl.SSLContext:
        """Whom the system trusts, and the certificate of the setting, which may be signed by nobody else."""
        context = ssl.create_default_context()
        if self._certificate:
            context.load_verify_locations(self._certificate)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def away(self, error: Exception) -> NotReachable:
        """What there is to say if nobody answers."""
        return NotReachable(f"the HTTP service does not answer at {self.url}: {error}")


def _refused(error: urllib.error.HTTPError) -> Exception:
    try:
        problem = json.loads(error.read())
        sentence, code = str(problem["detail"]), problem.get("code")
    except (ValueError, KeyError, TypeError):
        sentence, code = f"the HTTP service answered {error.code}", None
    if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
        return NotReachable(sentence)
    if error.code == HTTPStatus.NOT_FOUND:
        return JobUnknown(sentence)
    if error.code == HTTPStatus.BAD_REQUEST:
        return BadRequest(sentence)
    return CommandRefused(sentence, code)
