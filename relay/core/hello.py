"""What a minion may say in its Hello. Owns the limits of a session; raises Breach with the value that was
found.
"""

from relay.core.session import Breach, Refusal
from schemas.defaults import AREAS_MAX, NAME_CHARS_MAX, QUEUES_MAX
from schemas.names import BadName, check_function, check_id, check_queue
from schemas.proto import relay_pb2

PROTOCOL = 1
"""The version of the minion protocol that a relay speaks."""

CAPACITY_MAX = 100_000
"""Leases that one session may hold."""

FUNCTIONS_MAX = 10_000
"""Functions that one session may name."""


def check_hello(said: relay_pb2.Hello) -> None:
    """Raises Breach unless a session can be opened with this Hello."""
    if said.protocol != PROTOCOL:
        raise Breach(f"protocol must be {PROTOCOL}, got {said.protocol}", Refusal.VERSION)
    _check_count("queues", len(said.queues), 1, QUEUES_MAX)
    _check_count("functions", len(said.functions), 1, FUNCTIONS_MAX)
    _check_count("areas", len(said.areas), 0, AREAS_MAX)
    try:
        check_id(said.minion)
    except BadName as bad:
        raise Breach(f"the minion's name must be like an id: {bad}") from None
    try:
        for queue in said.queues:
            check_queue(queue)
        for function in said.functions:
            check_function(function)
    except BadName as bad:
        raise Breach(str(bad)) from None
    for area in said.areas:
        if not 0 < len(area) <= NAME_CHARS_MAX:
            raise Breach(f"an area must have 1 to {NAME_CHARS_MAX} characters, got {len(area)}")
    _check_count("capacity", said.capacity, 1, CAPACITY_MAX)
    if len(said.held) > said.capacity:
        raise Breach(f"held leases must be at most the capacity of {said.capacity}, got {len(said.held)}")
    if len({(held.job, held.epoch) for held in said.held}) < len(said.held):
        raise Breach(f"held leases must differ in job or epoch, got {len(said.held)} of which some are equal")


def _check_count(name: str, count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        raise Breach(f"{name} in hello must be {least} to {most}, got {count}")
