"""Where things are: flags come first, then the environment, then jobstream.toml, then the defaults.

resolve is pure; load alone reads the environment and the file. Every room takes its Settings from here.
"""

import dataclasses
import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas import defaults
from schemas.kafka import MECHANISMS, PROTOCOLS, Brokers, Security
from schemas.names import check_function, check_queue
from schemas.topics import PREFIX
from schemas.words import LanePolicy

FILE = "jobstream.toml"
SECTIONS = frozenset({"pools"})
"""Tables of the file that are no settings; whoever needs one says what may be in it."""
ENVIRONMENT = "JOBSTREAM_"
PORT_MAX = 65_535
DNS = "dns:"
"""Before a name that stands for every relay at its addresses."""
ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\]):(\d{1,5})", re.ASCII)
REGISTRY = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?", re.ASCII)
PREFIX_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


URL = "URL"
"""The unit of what may have a password in it."""
FROM_FILE = "@"
"""Before the name of the file that has a secret."""
HIDDEN = "(set)"
_PASSWORD = re.compile(r"(?<=://)([^:@/?#\s]*:).*(?=@)|([?&](?:ssl)?password=)[^&\s]*")
"""Of a URL: all between the user and the host, and what libpq takes as parameters."""


class BadSetting(ValueError):
    """A setting that cannot be; the text is a sentence with the value found and where it came from."""


def _address(found: str) -> str:
    match = ADDRESS.fullmatch(found)
    if match is None or not 0 <= int(match[1]) <= PORT_MAX:
        raise ValueError("host:port")
    return found


def _addresses(found: str) -> str:
    return ",".join(_address(part.strip()) for part in found.split(","))


def _relays(found: str) -> str:
    """One or more, each with DNS before it if the name stands for all its addresses."""
    parts = [part.strip() for part in found.split(",")]
    _addresses(",".join(part.removeprefix(DNS) for part in parts))
    return ",".join(parts)


def lanes(ordered: str) -> dict[str, LanePolicy]:
    """The queues with key order that the setting names, and what their lanes do when a job dies.

    Raises:
        ValueError: what it must be, as the end of a sentence.
    """
    found: dict[str, LanePolicy] = {}
    for part in filter(None, (part.strip() for part in ordered.split(","))):
        queue, _, policy = part.partition("=")
        try:
            check_queue(queue)
            found[queue] = LanePolicy(policy or LanePolicy.GOES_ON)
        except ValueError:
            raise ValueError(
                "queues with key order, each as queue, queue=waits, queue=goes_on or queue=ahead"
            ) from None
    return found


def _ordered(found: str) -> str:
    lanes(found)
    return found


def limits(text: str) -> dict[str, int]:
    """How many jobs of a queue or function may run at once on one relay, by `queue/<name>` or
    `function/<name>`.

    Raises:
        ValueError: what it must be, as the end of a sentence.
    """
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, _, most = part.rpartition("=")
        kind, _, name = key.partition("/")
        try:
            {"queue": check_queue, "function": check_function}[kind](name)
            found[key] = int(most)
        except (KeyError, ValueError):
            found[key] = 0
        if found[key] < 1:
            raise ValueError("limits, each as queue/name=number or function/name=number, from 1 up")
    return found


def _limits(found: str) -> str:
    limits(found)
    return found


def _prefix(found: str) -> str:
    if PREFIX_PATTERN.fullmatch(found) is None:
        raise ValueError(PREFIX_PATTERN.pattern)
    return found


def _directory(found: str) -> str:
    if not found or "\0" in found:
        raise ValueError("the path of a directory")
    return found


def _partitions(found: str) -> int:
    if not found.isascii() or not found.isdigit() or not 1 <= int(found[:9]) <= defaults.PARTITIONS_MAX:
        raise ValueError(f"a whole number from 1 to {defaults.PARTITIONS_MAX}")
    return int(found)


def _attribute(found: str) -> str:
    if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", found) is None:
        raise ValueError("module:name")
    return found


def _path(found: str) -> str:
    if "\0" in found:
        raise ValueError("the path of a file")
    return found


def _maybe(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A setting that may also be empty, and then says nothing."""
    return lambda found: read(found) if found else found


def _yes(found: str) -> str:
    if found not in {"yes", "no"}:
        raise ValueError("yes or no")
    return found


def _log(found: str) -> str:
    if found not in {"text", "json"}:
        raise ValueError("text or json")
    return found


def choices(text: str, check: Callable[[str], object], must: str) -> dict[str, str]:
    """What is said of functions, by name; `*` stands for those that are not named.

    Raises:
        ValueError: what it must be, as the end of a sentence.
    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, choice = part.rpartition("=")
        try:
            if name != "*":
                check_function(name)
            check(choice)
        except ValueError:
            raise ValueError(must) from None
        found[name] = choice
    return found


def _is_measure(choice: str) -> None:
    if choice not in {"full", "counters", "off"}:
        raise ValueError(choice)


def measures(text: str) -> dict[str, str]:
    """How closely functions are measured: full, counters or off. ValueError if it cannot be."""
    must = "functions, each as name=full, name=counters or name=off, * for the others"
    return choices(text, _is_measure, must)


def _is_trace(choice: str) -> None:
    one, _, many = choice.partition("/")
    if choice not in {"every", "aggregate", "off"} and not (
        one == "1" and many.isascii() and many.isdigit() and int(many[:9]) > 0
    ):
        raise ValueError(choice)


def traces(text: str) -> dict[str, str]:
    """Which jobs of functions are traced: every, 1/n, aggregate or off. ValueError if it cannot be."""
    must = "functions, each as name=every, name=1/n, name=aggregate or name=off, * for the others"
    return choices(text, _is_trace, must)


def _measure(found: str) -> str:
    measures(found)
    return found


def _trace(found: str) -> str:
    traces(found)
    return found


def _otlp(found: str) -> str:
    if found and REGISTRY.fullmatch(found) is None:
        raise ValueError("the address of an OTLP collector, http://host:port[/path]")
    return found


def _functions(found: str) -> str:
    for part in found.split(","):
        check_function(part)
    return found


def _database(found: str) -> str:
    if not found.startswith(("postgresql://", "postgres://")):
        raise ValueError("postgresql://user:password@host:port/name")
    return found


def _registry(found: str) -> str:
    if found and REGISTRY.fullmatch(found) is None:
        raise ValueError("the address of a schema registry, http://host:port[/path]")
    return found


def _one_of(words: Sequence[str]) -> Callable[[str], str]:
    def read(found: str) -> str:
        if found not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return found

    return read


def _secret(found: str) -> str:
    if not found.isprintable():
        raise ValueError("printable")
    return found


def without_password(text: str) -> str:
    """A URL as it may be told; what is none stays as it is."""
    return _PASSWORD.sub(lambda found: (found[1] or found[2]) + HIDDEN, text)


def _setting(default: Any, read: Callable[[str], Any], doc: str, unit: str = "") -> Any:
    secret = read is _secret
    metadata = {"read": read, "doc": doc, "unit": unit, "secret": secret}
    return dataclasses.field(default=default, repr=not secret and unit != URL, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings in force. The environment's name of each is JOBSTREAM_ and its own in capitals."""

    bootstrap: str = _setting("127.0.0.1:9092", _addresses, "Kafka brokers to start from", "host:port,...")
    prefix: str = _setting(PREFIX, _prefix, "What the names of the topics and groups begin with")
    data: str = _setting(
        ".jobstream", _directory, "Where the development cluster keeps its data", "directory"
    )
    partitions: int = _setting(
        defaults.PARTITIONS, _partitions, "Partitions of the topics; fixed for the life of a prefix"
    )
    kafka_security: str = _setting(
        "PLAINTEXT", _one_of(PROTOCOLS), "How Kafka is talked to", "|".join(PROTOCOLS)
    )
    kafka_ca: str = _setting("", _path, "Authorities that sign brokers' certificates; the system's", "file")
    kafka_cert: str = _setting("", _path, "Our certificate for brokers that want one", "file")
    kafka_key: str = _setting("", _path, "The key of that certificate", "file")
    kafka_mechanism: str = _setting(
        "", _maybe(_one_of(MECHANISMS)), "How SASL says who we are", "|".join(MECHANISMS)
    )
    kafka_username: str = _setting("", _path, "Who we are to Kafka", "name")
    kafka_password: str = _setting(
        "", _secret, "Its password, or @ and the file that has it", "text or @file"
    )
    relay: str = _setting(
        "127.0.0.1:7071",
        _relays,
        "Where the relay listens, and minions find it; they take several, and names with dns: before them",
        "host:port,...",
    )
    relay_open: str = _setting(
        "no", _yes, "Whether a relay may listen beyond loopback without tokens or certificates", "yes or no"
    )
    relay_tokens: str = _setting("", _path, "A relay's bearer tokens, as TOML; none if empty", "file")
    relay_cert: str = _setting("", _path, "A relay's certificate: with one it speaks TLS", "file")
    relay_key: str = _setting("", _path, "The key of that certificate", "file")
    relay_clients: str = _setting(
        "", _path, "Authorities that sign minions' certificates; a relay with it wants one of each", "file"
    )
    relay_ca: str = _setting(
        "",
        _path,
        "Authorities that sign relays' certificates, for minions: with it they speak TLS",
        "file or system",
    )
    relay_token: str = _setting(
        "", _secret, "What a minion shows to relays, or @ and the file that has it", "token or @file"
    )
    minion_cert: str = _setting("", _path, "A minion's certificate", "file")
    minion_key: str = _setting("", _path, "The key of that certificate", "file")
    calls_only: str = _setting(
        "no", _yes, "Whether the relay does without Kafka, and has foreground calls only", "yes or no"
    )
    limits: str = _setting(
        "",
        _limits,
        "How many jobs of a queue or function run at once on each relay",
        "queue/name=n,function/name=n,...",
    )
    scheduler: str = _setting(
        "", _maybe(_attribute), "What the relay tells of its traffic, to bring minions", "module:name"
    )
    scheduler_relay: str = _setting(
        "",
        _maybe(_addresses),
        "Where minions that a relay starts find it; where it listens if empty",
        "host:port,...",
    )
    ordered: str = _setting(
        "",
        _ordered,
        "Queues whose jobs of one key run one at a time, in order; `=waits` has a dead job hold its key up",
        "queue,queue=waits,...",
    )
    gearman: str = _setting(
        "",
        _maybe(_address),
        "Where the relay listens for Gearman clients and workers; nowhere if empty",
        "host:port",
    )
    gearman_open: str = _setting(
        "no", _yes, "Whether Gearman, which knows no passwords, may be served beyond loopback", "yes or no"
    )
    gearman_timeouts: str = _setting(
        "no", _yes, "Whether Gearman workers must give a timeout with each function", "yes or no"
    )
    web: str = _setting(
        "127.0.0.1:6066", _address, "Where the streams worker shows status pages", "host:port"
    )
    http: str = _setting("127.0.0.1:8088", _address, "Where the HTTP service listens", "host:port")
    http_open: str = _setting("no", _yes, "Whether it may listen beyond loopback without tokens", "yes or no")
    http_tokens: str = _setting("", _path, "Its bearer tokens, as TOML; none if empty", "file")
    http_secret: str = _setting(
        "", _path, "What signs the tokens of attempts; made anew at each start if empty", "file"
    )
    http_cert: str = _setting("", _path, "Its certificate: with one it speaks TLS, HTTP/3 too", "file")
    http_key: str = _setting("", _path, "The key of that certificate", "file")
    http_trust: str = _setting(
        "", _maybe(_functions), "Functions whose receipts need no token of their attempt", "name,..."
    )
    http_push: str = _setting("", _path, "Functions that it calls at their URLs, as TOML", "file")
    views: str = _setting(
        "",
        _maybe(_addresses),
        "Status pages that the HTTP service asks; those that the workers name in Kafka if empty",
        "host:port,...",
    )
    log: str = _setting(
        "text", _log, "Form of what services log: lines for people, or JSON with ECS names", "text or json"
    )
    access_log: str = _setting(
        "",
        _path,
        "Where doors write a line of JSON for each call, and for what people change",
        "file, or - for standard output",
    )
    facts_log: str = _setting(
        "",
        _path,
        "Where streams workers write a line of JSON for each fact",
        "file, or - for standard output",
    )
    cloudevents: str = _setting(
        "no", _yes, "Whether facts have the headers of CloudEvents, for routers of events", "yes or no"
    )
    metrics: str = _setting(
        "127.0.0.1:9464",
        _maybe(_address),
        "Where relays and minions show their metrics, at this port or the next free one; nowhere if empty",
        "host:port",
    )
    otlp: str = _setting(
        "",
        _otlp,
        "Collector that metrics and traces are sent to over OTLP; nothing is sent if empty",
        "http://host:4318",
    )
    measure: str = _setting(
        "",
        _measure,
        "How closely functions are measured, where not in full",
        "function=full|counters|off,*=...",
    )
    trace: str = _setting(
        "",
        _trace,
        "Which jobs are traced, where otlp is set: all of a function, one in N, one span for many, none",
        "function=every|1/n|aggregate|off,*=...",
    )
    registry: str = _setting(
        "", _registry, "Schema registry whose ids are written; the shipped ids without one", URL
    )
    connect: str = _setting("127.0.0.1:8083", _address, "Where Kafka Connect's REST API is", "host:port")
    database: str = _setting(
        "",
        _maybe(_database),
        "PostgreSQL for the log as tables; `jobstream connect up` starts one without",
        URL,
    )

    @property
    def http_url(self) -> str:
        """The HTTP service, as who asks it writes it."""
        return f"{'https' if self.http_cert else 'http'}://{self.http}"

    @property
    def kafka(self) -> Brokers:
        """Where Kafka is, and how it is talked to. BadSetting if what is said of that does not go
        together.
        """
        return Brokers(self.bootstrap, self._security())

    def _security(self) -> Security:
        try:
            return Security(
                self.kafka_security,
                self.kafka_ca or None,
                self.kafka_cert or None,
                self.kafka_key or None,
                self.kafka_mechanism or None,
                self.kafka_username or None,
                secret(self.kafka_password) or None,
            )
        except (OSError, ValueError) as error:  # no file, no text, or not together
            raise BadSetting(f"kafka_security and the settings beside it must go together: {error}") from None

    def shown(self, name: str) -> str:
        """The value of a setting, for people: of a secret only whether there is one, or which file has it; of
        a URL all but its password.
        """
        value = str(getattr(self, name))
        field = next(field for field in dataclasses.fields(self) if field.name == name)
        secret = field.metadata["secret"] and value and not value.startswith(FROM_FILE)
        return HIDDEN if secret else without_password(value)


NAMES = tuple(field.name for field in dataclasses.fields(Settings))


def address(name: str, found: str) -> str:
    """An address that is no setting, in the form of those that are. BadSetting if it cannot be."""
    found_here: str = _read(name, f"flag --{name}", found, _address)
    return found_here


def secret(value: str) -> str:
    """A secret: the value itself, or what the file has that it names after an @, without white space around
    it.

    Raises:
        OSError, UnicodeDecodeError: There is no such file, or it is no text.
    """
    if not value.startswith(FROM_FILE):
        return value
    return Path(value.removeprefix(FROM_FILE)).read_text(encoding="utf-8").strip()


def environment_name(name: str) -> str:
    """The environment variable of a setting."""
    return ENVIRONMENT + name.upper()


def resolve(
    flags: Mapping[str, object], environ: Mapping[str, str], toml_text: str | None
) -> tuple[Settings, dict[str, str]]:
    """The settings in force, and where each came from: `flag --x`, JOBSTREAM_X, jobstream.toml or `default`.

    A flag that is None and a variable that is empty are not set. Other JOBSTREAM_ variables are not ours;
    an unknown name in the file is an error, for it is most likely misspelt.

    Raises:
        BadSetting: A value that cannot be, an unknown name in the file, or a file that is not TOML.
    """
    unknown = flags.keys() - set(NAMES)
    assert not unknown, f"flags must be settings, got {unknown}"
    file = _file(toml_text)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for field in dataclasses.fields(Settings):
        name, variable = field.name, environment_name(field.name)
        sources = {
            f"flag --{name}": flags.get(name),
            variable: environ.get(variable) or None,
            FILE: file.get(name),
        }
        origin, found = next(
            ((o, f) for o, f in sources.items() if f is not None), ("default", field.default)
        )
        values[name] = _read(name, origin, found, field.metadata["read"])
        origins[name] = origin
    return Settings(**values), origins


def load(flags: Mapping[str, object] | None = None) -> tuple[Settings, dict[str, str]]:
    """resolve, with this process's environment and the jobstream.toml of its directory, if there is one."""
    return resolve(flags or {}, os.environ, _text())


def section(name: str) -> dict[str, Any]:
    """A section of the jobstream.toml of this directory, empty if it is not there. BadSetting if it is no
    table.
    """
    assert name in SECTIONS, f"a section must be one of {SECTIONS}, got {name}"
    found = _file(_text()).get(name, {})
    if not isinstance(found, dict):
        raise BadSetting(f"{name} of {FILE} must be a table, got {found!r:.100}")
    return found


def _text() -> str | None:
    """The jobstream.toml of this directory, if there is one."""
    path = Path(FILE)
    try:
        return path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{FILE} must be a file in UTF-8 that can be read: {error}") from None


def _file(text: str | None) -> dict[str, Any]:
    """What jobstream.toml says."""
    try:
        file = tomllib.loads(text or "")
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{FILE} must be TOML: {error}") from None
    for name in file:
        if name not in NAMES and name not in SECTIONS:
            near = difflib.get_close_matches(name.lower(), NAMES, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(NAMES)}"
            raise BadSetting(f"{FILE} has no setting {name!r}{hint}")
    return file


def _read(name: str, origin: str, found: object, read: Callable[[str], Any]) -> Any:
    """The value of a setting, from whatever form its source has."""
    text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else repr(found)
    try:
        return read(text)
    except ValueError as error:
        got = HIDDEN if read is _secret else without_password(repr(found))[:100]
        raise BadSetting(f"{name} must be {error}, got {got} (from {origin})") from None
