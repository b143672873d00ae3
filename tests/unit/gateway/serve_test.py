"""The service on real sockets: HTTP/1.1, 2 and 3 with real clients, and what only sockets can do wrong."""

import asyncio
import contextlib
import datetime as dt
import gc
import ipaddress
import json
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from h2.connection import H2Connection
from h2.events import ResponseReceived

from jobstream.cluster import free_port
from relay.core.tokens import Tokens
from relay.doors.http import guard
from relay.doors.http import serve as serving
from relay.doors.http.serve import CannotServe, Listen, check_listen, serve, tokens_of
from schemas.times import parse_time
from tests.fakes.gateway import Gateway
from tests.fakes.http3 import ask3
from tests.fakes.served import served as listening
from tests.fakes.served import shut

NOW_MS = parse_time("2027-01-15T08:00:00Z")
JOB = {"function": "f", "args": {"to": "a"}}


@contextlib.asynccontextmanager
async def served(listen: Listen) -> AsyncIterator[Gateway]:
    """A service that listens."""
    gateway = Gateway(now_ms=NOW_MS)
    async with listening(gateway.app, listen):
        yield gateway


@pytest.fixture
async def plain() -> AsyncIterator[Listen]:
    """One without TLS."""
    listen = Listen(f"127.0.0.1:{free_port()}")
    async with served(listen):
        yield listen


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate of its own for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form, nobody = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, nobody))
    return str(cert_path), str(key_path)


async def test_http_1_and_2_without_tls(plain: Listen) -> None:
    """Kept alive over 1.1; over 2 by prior knowledge."""
    for http1, version in ((True, "HTTP/1.1"), (False, "HTTP/2")):
        async with httpx.AsyncClient(base_url=plain.url, http1=http1, http2=not http1) as http:
            answers = [await http.post("/job", json=JOB) for _ in range(3)]
        assert [(answer.status_code, answer.http_version) for answer in answers] == [(201, version)] * 3


async def test_curl(plain: Listen) -> None:
    """What people type; curl speaks HTTP/2 too where it was built so."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    for more in ([], ["--http2-prior-knowledge"]):
        command = ["curl", "-sS", *more, "-H", "Content-Type: application/json", "-d", json.dumps(JOB)]
        curl = await asyncio.create_subprocess_exec(
            *command, f"{plain.url}/job", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        said, wrong = await curl.communicate()
        if more and b"not supported" in wrong:
            continue
        assert json.loads(said)["outcome"] == "accepted", wrong


async def test_http_2_and_3_over_tls(certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP/2 by ALPN, which is told of HTTP/3; the same answers over QUIC."""
    monkeypatch.setattr(serving, "STOP_S", 0.1)
    listen = Listen(f"127.0.0.1:{free_port()}", *certificate)
    trusted = ssl.create_default_context(cafile=certificate[0])
    async with served(listen) as gateway:
        async with httpx.AsyncClient(base_url=listen.url, http2=True, verify=trusted) as http:
            answer = await http.post("/job", json=JOB)
        port = int(listen.address.split(":")[1])
        assert (answer.status_code, answer.http_version) == (201, "HTTP/2")
        assert answer.headers["alt-svc"] == f'h3=":{port}"; ma=3600'
        status, body = await ask3(port, "POST", "/job", json.dumps({**JOB, "id": "quick"}).encode())
        assert (status, json.loads(body)["outcome"]) == (201, "accepted")
        status, body = await ask3(port, "GET", "/job/quick")
        assert (status, json.loads(body)["phase"]) == (200, "ready")
        status, body = await ask3(port, "POST", "/job", b"{}")
        assert (status, json.loads(body)["code"]) == (400, "bad_field")
        assert len(gateway.machine.jobs()) == 2


async def raw(listen: Listen, sent: bytes, *, half_close: bool = False) -> bytes:
    """What comes back for these bytes until the service closes, or was told that nothing more comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(listen.address.split(":")[1]))
    writer.write(sent)
    with contextlib.suppress(OSError):
        await writer.drain()
        if half_close:
            writer.write_eof()
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        await shut(writer)


HEAD = b"POST /job HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\x16\x03\x01\x00\xa5 this is no HTTP\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000, b""),
        (HEAD + b"Content-Length: 99999999\r\n\r\n", b" 413 "),
        (HEAD + b"Content-Length: -5\r\n\r\n", b" 400 "),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}", b" 400 "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b" 400 "),
    ],
)
async def test_what_is_no_http_ends_the_connection(plain: Listen, sent: bytes, expected: bytes) -> None:
    """At once, with an answer where there can be one; the next one is served."""
    assert expected in (await raw(plain, sent))[:200]
    async with httpx.AsyncClient(base_url=plain.url) as http:
        assert (await http.get("/healthz")).status_code == 200


async def test_who_goes_away_in_the_middle_leaves_nothing_behind(plain: Listen) -> None:
    """Half a body and the end, or half a body and no connection: nothing is asked for, nothing hangs."""
    await raw(plain, HEAD + b'Content-Length: 100\r\n\r\n{"function"', half_close=True)
    _, writer = await asyncio.open_connection("127.0.0.1", int(plain.address.split(":")[1]))
    writer.write(HEAD + b'Content-Length: 100\r\n\r\n{"function"')
    await writer.drain()
    writer.transport.abort()
    await shut(writer)
    async with httpx.AsyncClient(base_url=plain.url) as http:
        assert (await http.get("/queues")).json()["queues"] == {}


async def test_a_body_that_creeps_is_given_up(plain: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """408 after the time that a body may take."""
    monkeypatch.setattr(guard, "BODY_S", 0.2)
    assert b" 408 " in (await raw(plain, HEAD + b"Content-Length: 100\r\n\r\n{"))[:50]


@pytest.fixture
async def impatient(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Listen]:
    """One that waits for half a second where others wait for IDLE_S."""
    monkeypatch.setattr(serving, "IDLE_S", 0.5)
    listen = Listen(f"127.0.0.1:{free_port()}")
    async with served(listen):
        yield listen


@pytest.mark.parametrize("first", [b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ", b""])
async def test_a_head_that_creeps_is_given_up(impatient: Listen, first: bytes) -> None:
    """However steadily its bytes come; who asks nothing at all is no better off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(impatient.address.split(":")[1]))
    writer.write(first)
    ended = asyncio.create_task(reader.read())
    async with asyncio.timeout(20):
        while not ended.done():
            writer.write(b"x" if first else b"")
            with contextlib.suppress(OSError):
                await writer.drain()
            await asyncio.wait({ended}, timeout=0.05)
    assert ended.exception() is not None or ended.result() == b""
    await shut(writer)


async def test_who_says_that_nothing_more_comes_is_answered(impatient: Listen) -> None:
    """A whole request and the end of the sender's half; the other half ends once it was idle."""
    answer = await raw(impatient, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", half_close=True)
    assert answer.endswith(b'{"alive":true}')


async def test_a_stream_of_http_2_without_an_end(plain: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its body is waited for as long as another one; other streams of its connection are served meanwhile."""
    monkeypatch.setattr(guard, "BODY_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(plain.address.split(":")[1]))
    http = H2Connection()
    http.initiate_connection()
    head = [(":scheme", "http"), (":authority", "localhost"), ("content-type", "application/json")]
    http.send_headers(1, [(":method", "POST"), (":path", "/job"), *head])
    http.send_data(1, b'{"function"')
    http.send_headers(3, [(":method", "GET"), (":path", "/healthz"), *head], end_stream=True)
    http.send_headers(5, [(":method", "POST"), (":path", "/job"), *head])
    http.reset_stream(5)
    writer.write(http.data_to_send())
    statuses: dict[int, bytes] = {}
    async with asyncio.timeout(20):
        while set(statuses) != {1, 3}:
            for event in http.receive_data(await reader.read(65_536)):
                if isinstance(event, ResponseReceived):
                    statuses[event.stream_id] = dict(event.headers)[b":status"]
            writer.write(http.data_to_send())
    assert statuses == {1: b"408", 3: b"200"}
    await shut(writer)


def test_strangers_are_served_only_with_tokens() -> None:
    """Beyond loopback: a file of tokens, or a yes; a name that could be anything is no loopback."""
    some = Tokens({"x": None})  # type: ignore[dict-item]  # that there is one is what counts
    assert check_listen(Listen("127.0.0.1:1"), Tokens({}), may_be_open=False)
    assert check_listen(Listen("[::1]:1"), Tokens({}), may_be_open=False)
    assert not check_listen(Listen("0.0.0.0:1"), some, may_be_open=False)
    assert not check_listen(Listen("0.0.0.0:1"), Tokens({}), may_be_open=True)
    for address in ("0.0.0.0:1", "[::]:1", "example.com:1", "10.0.0.1:1"):
        with pytest.raises(CannotServe, match="must be a loopback address while there are no tokens, got "):
            check_listen(Listen(address), Tokens({}), may_be_open=False)
    with pytest.raises(CannotServe, match="must be set together"):
        check_listen(Listen("127.0.0.1:1", cert="a"), Tokens({}), may_be_open=False)


SHA = "a" * 64


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must have one at least, got none"),
        ("x", "must be TOML"),
        ("a = 1", "token a must be a table"),
        ("[a]\nscope = 1", "got the field scope"),
        ('[a]\nsha256 = "A"\nscopes = ["read"]', "must be 64 digits in lowercase hex, got 'A'"),
        (f'[a]\nsha256 = "{SHA}"\nscopes = ["all"]', "scopes of token a must be some of submit, read"),
        (f'[a]\nsha256 = "{SHA}"\nscopes = ["read"]\nqueues = "x"', "must be a list of names"),
        (f'[a]\nsha256 = "{SHA}"\nscopes = ["read"]\nqueues = ["X"]', "queue must match"),
        (f'[a]\nsha256 = "{SHA}"\nscopes = ["read"]\n' * 2, "must be TOML"),
        (
            f'[a]\nsha256 = "{SHA}"\nscopes = ["read"]\n[b]\nsha256 = "{SHA}"\nscopes = ["read"]',
            "must differ",
        ),
    ],
)
def test_a_file_of_tokens_that_cannot_be_is_told(tmp_path: Path, text: str, sentence: str) -> None:
    """One sentence; the service does not start."""
    path = tmp_path / "tokens.toml"
    path.write_text(text)
    with pytest.raises(CannotServe, match=sentence):
        tokens_of(str(path))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_address_that_is_taken_is_told(plain: Listen) -> None:
    """One sentence with the address."""
    with pytest.raises(CannotServe, match=f"cannot listen at {plain.address}: "):
        await serve(Gateway(now_ms=NOW_MS).app, plain, _never)
    gc.collect()  # Hypercorn forgets to close the socket that it could not bind; that is told here


async def _never() -> None:
    await asyncio.Event().wait()
