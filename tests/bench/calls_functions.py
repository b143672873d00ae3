"""What the benchmark of foreground calls runs: a function that gives back its arguments, and, as a program,
a gRPC server that gives back what it gets.
"""

import asyncio
import sys
from typing import Any

import grpc

from jobstream import function


@function(name="echo")
async def echo(payload: bytes) -> bytes:
    """Gives back what it gets."""
    return payload


async def serve(port: int) -> None:
    """A bare stream, until the process ends."""

    async def ping(_: object, context: Any) -> None:
        while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            await context.write(message)

    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(ping)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("ping.Ping", {"Ping": handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
