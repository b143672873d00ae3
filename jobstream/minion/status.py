"""Asks a relay over gRPC what it does now. Changes nothing."""

from typing import Any

import grpc

from jobstream.minion.wire import Wire
from schemas.proto.relay_pb2 import StatusReply, StatusRequest

METHOD = "/jobstream.Relay/Status"
ANSWER_S = 5.0
"""How long a relay may take to answer."""


def ask(address: str, wire: Wire) -> StatusReply:
    """What the relay at this address does now. grpc.RpcError if it does not answer, or not to us."""
    credentials, token = wire.credentials(), wire.shown()
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    opened = grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address)
    with opened as channel:
        method: Any = channel.unary_unary(
            METHOD,
            request_serializer=StatusRequest.SerializeToString,
            response_deserializer=StatusReply.FromString,
        )
        reply: StatusReply = method(StatusRequest(), timeout=ANSWER_S, metadata=metadata)
        return reply
