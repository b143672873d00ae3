"""A small HTTP/3 client on aioquic: one request, one answer. For tests alone."""

import asyncio
import ssl
from collections import deque
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent


class _Client(QuicConnectionProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic)
        self._status = 0
        self._body: deque[bytes] = deque()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        stream = self._quic.get_next_available_stream_id()
        headers = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        headers.append(("content-type", "application/json"))
        raw = [(name.encode(), value.encode()) for name, value in headers]
        self._http.send_headers(stream, raw, end_stream=not body)
        if body:
            self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        async with asyncio.timeout(10):
            await self._ended
        return self._status, b"".join(self._body)

    def quic_event_received(self, event: QuicEvent) -> None:
        for told in self._http.handle_event(event):
            if isinstance(told, HeadersReceived):
                self._status = int(dict(told.headers)[b":status"])
            elif isinstance(told, DataReceived):
                self._body.append(told.data)
            if (
                isinstance(told, HeadersReceived | DataReceived)
                and told.stream_ended
                and not self._ended.done()
            ):
                self._ended.set_result(None)


async def ask3(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """The status and body of an answer over HTTP/3; the certificate is not looked at."""
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE)
    async with connect("127.0.0.1", port, configuration=configuration, create_protocol=_Client) as protocol:
        assert isinstance(protocol, _Client)
        return await protocol.ask(method, path, body)
