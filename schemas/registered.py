"""Schema ids from a configured registry: registers what we ship, checks what it is known by, tells the codec.

Owns the one connection of this room, at the start of a process and never again: a registry that goes down
later stops nobody. Registering is idempotent. Must never let values be written under an id that means another
schema to the registry.
"""

import base64
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from schemas import codec, registry
from schemas.settings import Settings
from schemas.topics import Topics

log = logging.getLogger("jobstream.schemas")

PATIENCE_S = 60.0
"""How long a registry may be down or busy until a process that starts gives up."""
ASK_S = 5.0
"""How long it may take for one answer."""
PAUSE_S = 0.5
_NOT_FOUND = 404
_TOO_BUSY = (408, 425, 429)
_SERVER_FAULT = 500

_adopting = threading.Lock()
_adopted: dict[str, str] = {}

Ask = Callable[[str, str, Any], tuple[int, Any]]
"""Method, path and body, if any; status and what was answered."""


class RegistryFailed(Exception):
    """The registry does not answer, refuses, or knows another schema; a sentence with its address."""


def adopt(settings: Settings, *, patience_s: float = PATIENCE_S) -> None:
    """From now on this process writes the ids of the configured registry, and reads them beside the shipped.

    Does nothing where none is configured, or where it was done before. Blocks for up to `patience_s`.

    Raises:
        RegistryFailed: Nothing was changed.
    """
    if not settings.registry:
        return
    with _adopting:
        if _adopted.get("url") == settings.registry:
            return
        if _adopted:
            raise RegistryFailed(
                f"a process has one registry, got {shown(settings.registry)} after {shown(_adopted['url'])}"
            )
        ids, taken = known_by(settings, _asker(settings.registry, patience_s))
        try:
            codec.adopt(ids, taken)
        except ValueError as clash:
            raise RegistryFailed(f"{shown(settings.registry)}: {clash}") from None
        _adopted["url"] = settings.registry
    log.info("schema ids of %s: %s", shown(settings.registry), _listed(ids))


def known_by(settings: Settings, ask: Ask) -> tuple[dict[int, int], set[int]]:
    """Registers every schema; the registry's id of each shipped one, and which of these mean another there.

    Each is registered by its record's name, and the latest of each topic by the topic's. A subject that is
    new there gets the rule that our releases keep; on one that is there, its owner's word stands.

    Raises:
        RegistryFailed: A schema was refused, or its id means another one.
    """
    url = shown(settings.registry)
    there, answer = ask("GET", "/subjects", None)
    before = set(answer) if there == HTTPStatus.OK else set()
    ids: dict[int, int] = {}
    for number, schema in registry.shipped().items():
        subject = f"{registry.NAMESPACE}.{schema['name']}"
        ids[number] = _register(ask, url, subject, schema)
        if subject not in before:
            before.add(subject)
            _rule(ask, url, subject)
        if not _means(ask, ids[number], schema):
            raise RegistryFailed(
                f"{url} gave {subject} the id {ids[number]}, but has another schema under it"
            )
    for topic in Topics(settings.prefix, settings.partitions).catalogue():
        if topic.values:
            subject = f"{topic.name}-value"
            _register(ask, url, subject, _latest(topic.values[0].__name__))
            if subject not in before and len(topic.values) == 1:  # of two records, the other would be refused
                _rule(ask, url, subject)
    taken = {
        number
        for number, schema in registry.shipped().items()
        if number not in ids.values() and _means(ask, number, schema) is False
    }
    if taken:
        log.warning(
            "%s has other schemas under %s: values of ours with these ids are not read", url, sorted(taken)
        )
    return ids, taken


def knows(url: str, number: int, *, patience_s: float = ASK_S) -> bool:
    """Whether the registry at a URL has a schema under an id.

    Raises:
        RegistryFailed: It does not answer.
    """
    return _asker(url, patience_s)("GET", f"/schemas/ids/{number}", None)[0] != _NOT_FOUND


def _latest(name: str) -> Any:
    return [schema for schema in registry.shipped().values() if schema["name"] == name][-1]


def _register(ask: Ask, url: str, subject: str, schema: Any) -> int:
    status, answer = ask(
        "POST", f"/subjects/{quote(subject, safe='')}/versions", {"schema": json.dumps(schema)}
    )
    number = answer.get("id") if isinstance(answer, dict) else None
    if type(number) is int and 0 < number < 2**31:
        return number
    said = answer.get("message", answer) if isinstance(answer, dict) else answer
    raise RegistryFailed(f"{url} must give {subject} an id, got {status}: {str(said)[:300]}")


def _rule(ask: Ask, url: str, subject: str) -> None:
    """Has the registry refuse what would break a reader; one that takes no rule does without."""
    path = f"/config/{quote(subject, safe='')}"
    status, answer = ask("PUT", path, {"compatibility": registry.COMPATIBILITY})
    if status != HTTPStatus.OK:
        log.warning(
            "%s does not take %s for %s: %s %s",
            url,
            registry.COMPATIBILITY,
            subject,
            status,
            str(answer)[:200],
        )


def _means(ask: Ask, number: int, schema: Any) -> bool | None:
    """Whether an id means this schema to the registry; None if it means nothing."""
    status, answer = ask("GET", f"/schemas/ids/{number}", None)
    if status == _NOT_FOUND:
        return None
    try:
        return registry.canonical(json.loads(answer["schema"])) == registry.canonical(schema)
    except Exception:  # noqa: BLE001  # a schema that is none of Avro's is another one
        return False


def _asker(url: str, patience_s: float) -> Ask:
    """Asks the registry at a URL; what passes by itself is asked again until the time is over."""
    ends_s = time.monotonic() + patience_s
    base, headers = _with_password(url)

    def ask(method: str, path: str, body: Any) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        while True:
            request = urllib.request.Request(  # noqa: S310  # the setting is http or https
                base + path, data, {"Content-Type": registry.MEDIA, **headers}, method=method
            )
            try:
                with urllib.request.urlopen(request, timeout=min(ASK_S, patience_s)) as answer:  # noqa: S310  # as above
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as refused:
                with refused:
                    status, said = refused.code, _parsed(refused.read(registry.BODY_BYTES_MAX))
                if status not in _TOO_BUSY and status < _SERVER_FAULT:
                    return status, said
                why = f"{status}: {str(said)[:200]}"
            except (OSError, HTTPException, ValueError) as error:
                why = str(getattr(error, "reason", None) or error)
            if time.monotonic() + PAUSE_S > ends_s:
                raise RegistryFailed(
                    f"the schema registry {shown(url)} did not answer within {patience_s:g} s: {why}"
                )
            time.sleep(PAUSE_S)

    return ask


def _with_password(url: str) -> tuple[str, dict[str, str]]:
    """The address without a user and password, and these as a header (RFC 7617)."""
    parts = urlsplit(url.rstrip("/"))
    user, at, host = parts.netloc.rpartition("@")
    bare = urlunsplit(parts._replace(netloc=host))
    if not at:
        return bare, {}
    return bare, {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def shown(url: str) -> str:
    """The address as it may be told: without a password."""
    return _with_password(url)[0]


def _listed(ids: dict[int, int]) -> str:
    return ", ".join(f"{registry.shipped()[number]['name']}={id}" for number, id in ids.items())
