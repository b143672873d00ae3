"""What locks the minions' edge: tokens, certificates, addresses, and what is never logged."""

import asyncio
import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from jobstream import Caller
from jobstream.errors import BadRequest
from jobstream.functions import function
from jobstream.minion import Minion, Wire, status
from relay.lock import Lock
from relay.main import Relay
from relay.watched import BadFile
from schemas.proto.relay_pb2 import INTERRUPTED, Job
from schemas.settings import Settings
from tests.certificates import Authority
from tests.fakes.edge import EdgeRelay, edge_relay
from tests.fakes.minion import Ended, FakeMinion, held
from tests.waiting import eventually_async

MAIL, OTHER, READER = "mail-token-0123456789", "other-token-0123456789", "reader-token-0123456789"


def entry(name: str, token: str, scope: str = "run", **more: str) -> str:
    """One token as the file has it."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    rest = "".join(f"{field} = {value}\n" for field, value in more.items())
    return f'[{name}]\nsha256 = "{digest}"\nscopes = ["{scope}"]\n{rest}'


TOKENS = entry("mail", MAIL, queues='["mail"]', functions='["mail.*"]') + entry("reader", READER, "read")


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """A file of two tokens."""
    path = tmp_path / "tokens.toml"
    path.write_text(TOKENS)
    return path


def locked(tokens: Path, **more: Any) -> Settings:
    """A relay with these tokens."""
    return Settings(relay="127.0.0.1:0", relay_tokens=str(tokens), **more)


def mail(relay: EdgeRelay, **said: object) -> FakeMinion:
    """A minion whose token is good for what it serves, unless said otherwise."""
    fields = {"queues": ["mail"], "functions": ["mail.send"], "token": MAIL, **said}
    return FakeMinion(relay.address, "m1", **fields)


async def refused(minion: FakeMinion) -> tuple[grpc.StatusCode, str]:
    """How the relay refuses it."""
    with pytest.raises(Ended) as caught:
        await minion.__aenter__()
    return caught.value.code, caught.value.details


async def test_a_minion_needs_a_token_that_is_good_for_what_it_serves(tokens: Path) -> None:
    """Without one it is not known; with one for something else it is forbidden, with the value found."""
    async with edge_relay(locked(tokens)) as relay:
        unknown, forbidden = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
        assert await refused(mail(relay, token="")) == (unknown, "a token is wanted, got none")
        assert await refused(mail(relay, token=OTHER)) == (unknown, "the token is not known here")
        for said, sentence in (
            ({"queues": ["mail", "web"]}, "minion m1: token mail is for the queues mail, got web"),
            ({"functions": ["mail.send", "f"]}, "minion m1: token mail is for the functions mail.*, got f"),
            ({"token": READER}, "minion m1: token reader must have the scope run, has read"),
        ):
            assert await refused(mail(relay, **said)) == (forbidden, sentence)
        async with mail(relay) as minion:
            await minion.grant(1)
            relay.dispatch(queue="mail", function="mail.send")
            [job] = await minion.take()
            number = await minion.answer(job)
            await eventually_async(lambda: stored(minion, number))


def write(path: Path, text: str) -> None:
    """As an operator does."""
    path.write_text(text)


def take_place(new: Path, old: Path) -> None:
    """A file in the place of another, at once."""
    new.replace(old)


async def stored(minion: FakeMinion, number: int) -> bool:
    """Whether its receipt was acknowledged."""
    return minion.stored >= number


@pytest.mark.parametrize("way", ["hello", "receipt"])
async def test_a_lease_of_another_queue_cannot_be_smuggled_in(tokens: Path, way: str) -> None:
    """Neither as held nor with a receipt: the session ends, nothing is written, and the one beside it goes
    on.
    """
    stray = Job(
        id="x", epoch=1, key="k", queue="web", function="pay", timeout_ms=1_000, assigned_at_ms=1, attempt=1
    )
    async with edge_relay(locked(tokens)) as relay, mail(relay) as beside:
        if way == "hello":
            ended = await refused(mail(relay, held=[held(stray)]))
        else:
            async with FakeMinion(
                relay.address, "m2", queues=["mail"], functions=["mail.send"], token=MAIL
            ) as minion:
                await minion.answer(stray, lease=True, outcome=INTERRUPTED)
                found = await minion.end()
                ended = found.code, found.details
        assert ended[0] == grpc.StatusCode.PERMISSION_DENIED
        assert "token mail is for the queues mail, got web" in ended[1]
        assert not relay.receipts
        assert not beside.ended.done()


async def test_a_durable_call_is_for_the_queues_of_its_token(tokens: Path) -> None:
    """It is a job in a queue, and who may not ask for one there may not call for one either."""
    write(tokens, entry("asks", MAIL, "submit", queues='["mail"]'))
    settings = locked(tokens, calls_only="yes")
    async with Relay(settings, drain_s=0.2) as relay, Caller(relay.address, wire=Wire(MAIL)) as caller:
        for queue, sentence in (
            ("", "token asks is for the queues mail, got default"),
            ("web", "token asks is for the queues mail, got web"),
            ("mail", "this relay has no Kafka"),
        ):
            with pytest.raises(BadRequest, match=sentence):
                await caller.job("f", queue=queue, within=30)


async def test_tokens_are_exchanged_without_a_restart(tokens: Path) -> None:
    """A token that is no more has its sessions shown out, a new one is let in; a file that cannot be
    changes nothing.
    """
    async with edge_relay(locked(tokens)) as relay:
        async with mail(relay) as minion:
            write(tokens, "[mail]\nsha256 = 1\n")
            relay.server.lock_again()
            assert not minion.ended.done()
            write(tokens, entry("mail", OTHER))
            ended = await minion.end()  # found by itself within a second or two
            assert (ended.code, ended.details) == (
                grpc.StatusCode.UNAUTHENTICATED,
                "the token is not known here",
            )
        async with mail(relay, token=OTHER) as minion:
            write(tokens, entry("mail", OTHER, queues='["web"]'))
            relay.server.lock_again(again=True)
            ended = await minion.end()
            assert ended.code == grpc.StatusCode.PERMISSION_DENIED


async def test_the_status_is_for_who_may_read(tokens: Path) -> None:
    """`jobstream relay status` shows its token as minions do."""
    async with edge_relay(locked(tokens)) as relay:
        for token, code in (
            ("", grpc.StatusCode.UNAUTHENTICATED),
            (MAIL, grpc.StatusCode.PERMISSION_DENIED),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                await asyncio.to_thread(status.ask, relay.address, Wire(token))
            assert caught.value.code() == code
        reply = await asyncio.to_thread(status.ask, relay.address, Wire(READER))
        assert reply.relay == "relay-1"


@function(name="mail.send", queue="mail")
async def send(secret: str) -> str:
    """Fails with its argument."""
    raise ValueError(secret)


async def test_minions_certificates_are_wanted_and_exchanged(tmp_path: Path) -> None:
    """Mutual TLS: an entry names a certificate; one of another authority is not let in; a new one is shown
    at once.
    """
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "strangers")
    server, minion = ours.issue("relay"), ours.issue("mailer")
    tokens = tmp_path / "tokens.toml"
    tokens.write_text('[mailer]\ncertificate = "mailer"\nscopes = ["run"]\nqueues = ["mail"]\n')
    settings = locked(
        tokens, relay_cert=str(server.cert), relay_key=str(server.key), relay_clients=str(ours.ca)
    )

    def wire(authority: Authority, name: str) -> Wire:
        own = authority.issue(name)
        return Wire(ca=str(ours.ca), cert=str(own.cert), key=str(own.key))

    async with edge_relay(settings) as relay:
        async with Minion([send], relay=relay.address, wire=wire(ours, "mailer")) as known:
            await known.opened()
            relay.dispatch(queue="mail", function="mail.send", args=b'{"secret": "s"}')
            await eventually_async(lambda: has(relay.receipts))
            assert relay.receipts[0].error_message == "s"
        for stranger in (wire(theirs, "mailer"), Wire(ca=str(ours.ca)), Wire()):
            async with Minion([send], relay=relay.address, wire=stranger) as unknown:
                with pytest.raises(TimeoutError):
                    await unknown.opened(0.5)
        credentials = wire(ours, "nobody-known").credentials()
        code, details = await refused(mail(relay, token="", credentials=credentials))
        assert code == grpc.StatusCode.UNAUTHENTICATED
        assert "nobody-known is not known here" in details
        assert not relay.edge.sessions
        fresh = Authority(tmp_path, "fresh")
        made = fresh.issue("relay-2")
        trusting = Wire(ca=str(fresh.ca), cert=str(minion.cert), key=str(minion.key))
        take_place(made.key, server.key)
        relay.lock.look()  # half of a pair: what was before stays in force
        async with Minion([send], relay=relay.address, wire=wire(ours, "mailer")) as known:
            await known.opened()
        take_place(made.cert, server.cert)
        relay.lock.look()
        async with Minion([send], relay=relay.address, wire=trusting) as known:
            await known.opened()


async def has(found: Sequence[object]) -> bool:
    """Whether there is something."""
    return bool(found)


def test_an_address_for_strangers_wants_a_lock(tmp_path: Path, tokens: Path) -> None:
    """Tokens, or certificates of minions, or a word; TLS alone lets everybody in."""
    made = Authority(tmp_path).issue("relay")
    tls: dict[str, Any] = {"relay_cert": str(made.cert), "relay_key": str(made.key)}
    for address in ("0.0.0.0:1", "[::]:1", "10.0.0.1:1", "relay.example:1"):
        for more in ({}, tls):
            with pytest.raises(
                BadFile, match=f"relay must be a loopback address .* got {re.escape(address)}"
            ):
                Lock(Settings(relay=address, **more))
        Lock(Settings(relay=address, relay_open="yes"))
        Lock(Settings(relay=address, relay_tokens=str(tokens)))
        Lock(Settings(relay=address, relay_clients=str(made.cert), **tls))
    Lock(Settings(relay="127.0.0.1:1"))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"relay_cert": "x"}, "relay_cert and relay_key must be set together, got one of them"),
        ({"relay_clients": "x"}, "relay_clients must come with relay_cert and relay_key, got it alone"),
        ({"relay_tokens": "/nowhere"}, "relay_tokens must be usable, got '/nowhere'"),
        ({"relay_cert": "/nowhere", "relay_key": "/x"}, "relay_cert must be usable, got '/nowhere' and '/x'"),
    ],
)
def test_a_lock_that_cannot_be_is_told(settings: dict[str, Any], sentence: str) -> None:
    """One sentence; the relay does not start."""
    with pytest.raises(BadFile, match=sentence):
        Lock(Settings(**settings))


@function(name="mail.loud", queue="mail")
async def loud(secret: str) -> str:
    """Gives its argument back."""
    return secret


async def test_neither_payload_nor_token_is_logged(tokens: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not on either side, at any level: arguments, results, error messages, tokens that are good and that
    are not.
    """
    caplog.set_level(logging.DEBUG)
    payload = "payload-that-is-nobodys-business"
    async with edge_relay(locked(tokens)) as relay:
        assert (await refused(mail(relay, token=OTHER)))[0] == grpc.StatusCode.UNAUTHENTICATED
        async with Minion([loud, send], relay=relay.address, wire=Wire(MAIL)) as minion:
            await minion.opened()
            for name in ("mail.loud", "mail.send"):
                relay.dispatch(queue="mail", function=name, args=b'{"secret": "%s"}' % payload.encode())
            await eventually_async(lambda: has(relay.receipts[1:]))
        async with mail(relay) as stray:
            job = Job(
                id="x", epoch=1, key="k", queue="web", function="f", timeout_ms=9, assigned_at_ms=1, attempt=1
            )
            await stray.answer(job, lease=True, result=payload.encode())
            await stray.end()
    assert payload in str(relay.receipts)
    said = caplog.text + "".join(relay.remarks)
    assert "session opened" in said
    for secret in (payload, MAIL, OTHER):
        assert secret not in said
