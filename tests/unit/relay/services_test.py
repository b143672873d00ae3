"""What gRPC tools find at a relay: health, reflection, and the status with what stands in line."""

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from jobstream.cli import relay_status
from jobstream.minion import Wire, status
from schemas.events import Dispatch
from tests.fakes.edge import EdgeRelay, edge_relay
from tests.fakes.minion import FakeMinion

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_health_is_told_and_changes_when_it_goes_away() -> None:
    """For the whole and for the service; who watches hears of it; an unknown service is none."""
    async with edge_relay() as relay, grpc.aio.insecure_channel(relay.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "jobstream.Relay"):
            assert (await health.Check(health_pb2.HealthCheckRequest(service=name))).status == SERVING
        watching = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == SERVING
        await relay.server.leave()
        assert (await watching.read()).status == NOT_SERVING
        try:
            await health.Check(health_pb2.HealthCheckRequest(service="unheard.of"))
        except grpc.aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND  # noqa: PT017  # its type has no message to match
        watching.cancel()


async def test_reflection_tells_the_protocol() -> None:
    """Services by name, and the file with every message of relay.proto."""
    ask = reflection_pb2.ServerReflectionRequest
    async with edge_relay() as relay, grpc.aio.insecure_channel(relay.address) as channel:
        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await stream.write(ask(list_services=""))
        told = (await stream.read()).list_services_response.service
        assert {"jobstream.Relay", "grpc.health.v1.Health"} <= {each.name for each in told}
        await stream.write(ask(file_containing_symbol="jobstream.Relay"))
        [file] = (await stream.read()).file_descriptor_response.file_descriptor_proto
        assert b"StatusReply" in file
        stream.cancel()


def fill(relay: EdgeRelay, key: str, count: int) -> None:
    """So many jobs of a key, each after the one before."""
    before: Dispatch | None = None
    for _ in range(count):
        if before is None:
            before = relay.dispatch(key=key, order="key")
        else:
            before = relay.dispatch(key=key, order="key", after_job=before.job, after_epoch=1)


async def test_the_status_names_keys_with_a_line() -> None:
    """Which job they stand behind, longest line first."""
    async with edge_relay() as relay, FakeMinion(relay.address, "m1") as minion:
        await minion.grant(5)
        for key, count in (("a", 2), ("b", 4), ("c", 1)):
            fill(relay, key, count)
        reply = await asyncio.to_thread(status.ask, relay.address, Wire())
        told = [(lane.key, lane.waiting, bool(lane.job)) for lane in reply.longest_lanes]
        assert told == [("b", 3, True), ("a", 1, True)]
        assert any(
            line.startswith("key b of default: 3 in line, behind job-") for line in relay_status.lines(reply)
        )
