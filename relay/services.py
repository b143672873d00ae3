"""What any gRPC tool may ask of a server: whether it serves (grpc.health.v1), and what it has (reflection
v1alpha).

Owns that answer. It needs no token: it tells nothing about jobs, only what relay.proto says, and whether
the relay goes away.
"""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health  # type: ignore[attr-defined]  # its types forgot it
from grpc_reflection.v1alpha import reflection

from schemas.proto import relay_pb2

WHOLE = ""
"""The name under which health is told of all that a server has."""


class Services:
    """Health and reflection of one server."""

    def __init__(self, server: grpc.aio.Server) -> None:
        """Adds them to a server that has not started."""
        relay = relay_pb2.DESCRIPTOR.services_by_name["Relay"].full_name
        self._names = (WHOLE, relay)
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        told = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection((relay, told, reflection.SERVICE_NAME), server)

    async def serve(self, *, serving: bool) -> None:
        """Whether it serves, from now on; who watches is told."""
        found = health_pb2.HealthCheckResponse
        for name in self._names:
            await self._health.set(name, found.SERVING if serving else found.NOT_SERVING)
