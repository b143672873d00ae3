"""The other side of a Gearman door: a connection that says packets and lines, and expects some."""

import asyncio
from collections.abc import Callable
from typing import Self

from relay.core.calls import Calls
from relay.core.limits import Limits
from relay.doors.gearman.desk import Background, BadJob, Standing, Unclear
from relay.doors.gearman.door import Door
from relay.doors.gearman.packets import HEADER, KINDS, RES, P, request
from relay.switchboard import Switchboard
from schemas.telemetry.process import Telemetry

PATIENCE_S = 20.0
HANDLE = b"H:"


class Peer:
    """One connection. Everything that waits fails after a while."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Connects to the door at a port of this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def say(self, number: int, *arguments: bytes) -> None:
        """Sends a packet."""
        self.raw(request(number, *arguments))

    def raw(self, data: bytes) -> None:
        """Sends bytes."""
        self._writer.write(data)

    async def hear(self) -> tuple[P, list[bytes]]:
        """The next packet."""
        async with asyncio.timeout(PATIENCE_S):
            magic, number, size = HEADER.unpack(await self._reader.readexactly(HEADER.size))
            assert magic == RES
            body = await self._reader.readexactly(size)
        count = len(KINDS[P(number)].arguments)
        return P(number), body.split(b"\0", count - 1) if count else []

    async def expect(self, number: P, *arguments: bytes | None) -> list[bytes]:
        """The next packet must be this one; None stands for any argument. Returns the arguments."""
        found, said = await self.hear()
        assert (found.name, len(said)) == (number.name, len(arguments) or len(said)), (found.name, said)
        for expected, got in zip(arguments, said, strict=False):
            assert expected in {None, got}, (found.name, said)
        return said

    async def ask(self, line: str) -> str:
        """Says a line of text and gets one back."""
        self.raw(line.encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            return (await self._reader.readline()).decode()

    async def ask_list(self, line: str) -> list[str]:
        """Says a line of text and gets lines back, up to the dot."""
        found = [await self.ask(line)]
        while found[-1] != ".\n":
            async with asyncio.timeout(PATIENCE_S):
                found.append((await self._reader.readline()).decode())
        return [each.rstrip("\n") for each in found[:-1]]

    async def ended(self) -> bool:
        """Waits for the other side to close the connection."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self._reader.read() == b""
            except ConnectionError:
                return True

    async def settled(self) -> None:
        """Returns when the door has taken all that was said before."""
        self.say(P.ECHO_REQ, b"settled")
        await self.expect(P.ECHO_RES, b"settled")

    async def works(self, *functions: bytes) -> None:
        """Registers as a worker of functions."""
        for function in functions:
            self.say(P.CAN_DO, function)
        await self.settled()

    async def submits(self, function: bytes, data: bytes = b"", unique: bytes = b"") -> bytes:
        """Asks for a foreground job; its handle."""
        self.say(P.SUBMIT_JOB, function, unique, data)
        (handle,) = await self.expect(P.JOB_CREATED, None)
        return handle

    async def takes(self, data: bytes | None = None) -> bytes:
        """Comes for a job and is given one, with such data; its handle."""
        self.say(P.GRAB_JOB)
        handle, _, _ = await self.expect(P.JOB_ASSIGN, None, None, data)
        return handle

    def close(self) -> None:
        """Vanishes."""
        self._writer.transport.abort()


class FakeDesk:
    """Keeps background jobs, and says that they are durable when it is told to."""

    def __init__(self) -> None:
        self.jobs: list[Background] = []
        self.waiting: list[asyncio.Future[str | None]] = []
        self.standings: dict[str, Standing] = {}

    def submit(self, job: Background, taken: Callable[[str | None], None]) -> str:
        """Keeps it."""
        if job.function == "never":
            raise BadJob("function must not be never, got never")
        self.jobs.append(job)
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: taken(done.result()))
        self.waiting.append(future)
        return f"job-{len(self.jobs)}"

    async def standing(self, job: str) -> Standing:
        """What a test put there; Unclear else."""
        await asyncio.sleep(0)
        if job not in self.standings:
            raise Unclear("the pages are away")
        return self.standings[job]


class House:
    """A door in this event loop, and the connections that were made to it: `async with House() as house`."""

    def __init__(
        self,
        *,
        desk: FakeDesk | None = None,
        timeouts_required: bool = False,
        limits: dict[str, int] | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.board = Switchboard(Calls(Limits(limits)))
        self.calls = self.board.calls
        self.stops: list[bool] = []
        self.door = Door(
            self.board,
            desk=desk,
            timeouts_required=timeouts_required,
            version="1.0",
            told_to_stop=self.stops.append,
            telemetry=telemetry,
        )
        self.port = 0
        self._peers: list[Peer] = []

    async def __aenter__(self) -> Self:
        self.port = await self.door.start("127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        for peer in self._peers:
            peer.close()
        await self.door.stop("the test is over")
        self.board.close()

    async def peer(self) -> Peer:
        """One more connection."""
        peer = await Peer.connect(self.port)
        self._peers.append(peer)
        return peer

    async def pair(self, *functions: bytes) -> tuple[Peer, Peer]:
        """A client, and a worker of functions."""
        client, worker = await self.peer(), await self.peer()
        await worker.works(*functions)
        return client, worker
