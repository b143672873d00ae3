"""A relay in a gRPC server of one's own, and calls over HTTP in an app of one's own: nothing of Jobstream's
listens.

    python examples/own_server.py 7071 8088
    jobstream minion shop.functions --relay 127.0.0.1:7071
    curl -d '{"to": "a@b.c"}' http://127.0.0.1:8088/jobs/call/shop.mail
    curl http://127.0.0.1:8088/shop/cart?id=7        # the function `shop.web` gets the whole request
"""

import asyncio
import sys

import grpc
from fastapi import FastAPI
from hypercorn.asyncio import serve
from hypercorn.config import Config

from jobstream import Caller
from jobstream.calls_app import CallsApp
from relay.main import Relay
from relay.server import OPTIONS
from schemas.settings import Settings


async def main(grpc_port: int, http_port: int) -> None:
    """Serves until it is told to stop."""
    relay = f"127.0.0.1:{grpc_port}"
    server = grpc.aio.server(options=OPTIONS)  # add services of your own to it
    server.add_insecure_port(relay)
    async with Relay(Settings(relay=relay, calls_only="yes"), into=server), Caller(relay) as caller:
        await server.start()
        app = FastAPI()  # add routes of your own to it
        app.mount("/jobs", CallsApp(caller))
        app.mount("/shop", CallsApp(caller, routes={"/": "shop.web"}))
        config = Config()
        config.bind = [f"127.0.0.1:{http_port}"]
        await serve(app, config)  # type: ignore[arg-type]  # is ASGI
    await server.stop(1)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
