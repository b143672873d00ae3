"""How many no-op jobs one minion runs per second, and what one costs it, fed by a relay without Kafka.

Owns the measurement alone. Run with `python -m tests.bench.minion [--function echo] [--concurrency 100]`.
"""

import argparse
import asyncio
import os
import statistics
import sys
from pathlib import Path
from typing import Any, Final

import grpc

from schemas.proto.relay_pb2 import FromMinion, FromRelay, Job, JobBatch, ReceiptsStored, Welcome

ROOT: Final = Path(__file__).parents[2]
ARGS: Final = b'{"value":"' + b"x" * 190 + b'"}'
BATCH_JOBS: Final = 256
WARM_UP_S: Final = 1.0


class Feeder(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs alone
    """Gives a job for every credit, and confirms every receipt at once."""

    def __init__(self, function: str) -> None:
        self.ended = 0
        self.opened = asyncio.Event()
        self._function = function
        self._given = 0
        self._credits = 0
        self._stored = 0
        self._stirred = asyncio.Event()
        self._method = grpc.stream_stream_rpc_method_handler(
            self._converse,
            request_deserializer=FromMinion.FromString,
            response_serializer=FromRelay.SerializeToString,
        )

    def service(self, handler_call_details: Any) -> Any:
        """The one method."""
        return self._method if handler_call_details.method.endswith("/Session") else None

    async def _converse(self, stream: Any, context: Any) -> None:
        await context.read()
        await context.write(FromRelay(welcome=Welcome(protocol=1, session="bench", relay="bench")))
        writer = asyncio.create_task(self._write(context))
        self.opened.set()
        async for message in stream:
            if message.HasField("credit"):
                self._credits += message.credit.more
            elif message.HasField("receipts"):
                self.ended += len(message.receipts.receipts)
                self._stored = message.receipts.receipts[-1].number
            self._stirred.set()
        writer.cancel()

    async def _write(self, context: Any) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            if self._stored:
                stored, self._stored = self._stored, 0
                await context.write(FromRelay(receipts_stored=ReceiptsStored(up_to=stored)))
            while self._credits:
                jobs = [self._job() for _ in range(min(self._credits, BATCH_JOBS))]
                self._credits -= len(jobs)
                await context.write(FromRelay(jobs=JobBatch(jobs=jobs)))

    def _job(self) -> Job:
        self._given += 1
        return Job(
            id=f"01JBENCH{self._given:018d}",
            epoch=1,
            attempt=1,
            key="bench",
            partition=3,
            queue="default",
            function=self._function,
            args=ARGS,
            content_type="application/json",
            timeout_ms=60_000,
            heartbeat_timeout_ms=4_000,
        )


async def measure(function: str, concurrency: int, seconds: int) -> tuple[list[float], float]:
    """Jobs in each second, and CPU microseconds of the minion's process per job."""
    feeder = Feeder(function)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((feeder,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    minion = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jobstream.minion", "tests.fakes.functions"),
        *("--relay", f"127.0.0.1:{port}", "--concurrency", str(concurrency)),
        cwd=ROOT,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await feeder.opened.wait()
    await asyncio.sleep(WARM_UP_S)
    rates: list[float] = []
    began, began_cpu_s = feeder.ended, cpu_s(minion.pid)
    for _ in range(seconds):
        before, at_s = feeder.ended, asyncio.get_running_loop().time()
        await asyncio.sleep(1)
        rates.append((feeder.ended - before) / (asyncio.get_running_loop().time() - at_s))
    cost_us = (cpu_s(minion.pid) - began_cpu_s) / (feeder.ended - began) * 1e6
    minion.kill()
    await minion.wait()
    await server.stop(0)
    return rates, cost_us


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Prints the median rate and the cost of one job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--function", default="echo", choices=["echo", "echo-in-thread"])
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=5)
    given = parser.parse_args()
    rates, cost_us = asyncio.run(measure(given.function, given.concurrency, given.seconds))
    print(
        f"{given.function} concurrency={given.concurrency}: {statistics.median(rates):,.0f} jobs/s "
        f"(from {min(rates):,.0f} to {max(rates):,.0f}), {cost_us:.0f} us of CPU a job in the minion"
    )


if __name__ == "__main__":
    main()
