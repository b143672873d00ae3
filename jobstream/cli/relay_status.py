"""What a relay does now, as people read it: asks it, prints lines.

Owns the words; changes nothing.
"""

import sys
from collections.abc import Iterator
from typing import Any

import grpc

from jobstream.cli.exits import Exit
from jobstream.minion.status import ask
from jobstream.minion.wire import CannotConnect, Wire, wire_of
from schemas.proto.relay_pb2 import StatusReply
from schemas.settings import DNS, Settings


def say(settings: Settings) -> int:
    """Prints what each relay of the settings does; the exit code: OK if all of them answered."""
    wire = wire_of(settings)
    return max(_say(address.removeprefix(DNS), wire) for address in settings.relay.split(","))


def _say(address: str, wire: Wire) -> int:
    try:
        reply = ask(address, wire)
    except CannotConnect as cannot:
        sys.stderr.write(f"{cannot}\n")
        return Exit.UNREACHABLE
    except grpc.RpcError as error:
        code: Any = error
        sys.stderr.write(f"no relay answers at {address}: {code.code().name}: {code.details()}\n")
        return Exit.UNREACHABLE
    sys.stdout.writelines(f"{line}\n" for line in lines(reply))
    return Exit.OK


def lines(reply: StatusReply) -> Iterator[str]:
    """The answer in words."""
    state = "goes away" if reply.draining else "runs"
    share = f"{reply.spilled / reply.assigned:.1%}" if reply.assigned else "none"
    given = f"{reply.assigned} jobs given, {share} spilled over"
    yield f"relay {reply.relay} {state}: {reply.leases} leases, {given}, {reply.lanes} keys in order"
    calls = reply.calls
    if calls.asked:
        ends = ", ".join(f"{each.count} {each.outcome}" for each in calls.outcomes) or "none ended"
        known = f"{calls.coalesced} shared a run, {calls.cached} answers known"
        yield f"calls {calls.asked}: {calls.running} run, {calls.waiting} wait, {known}, {ends}"
    for lacking in calls.unserved:
        since = f"asked for {lacking.asked} times in {lacking.since_ms / 1_000:.1f} s"
        yield f"unserved {lacking.function}: no worker here has it, {since}"
    for each in reply.sessions:
        held = f"{each.leases} of {each.capacity} leases, {each.credits} credits"
        held += f", {each.runs} calls" if each.runs else ""
        serves = f"{each.functions} functions, queues {','.join(each.queues)}"
        yield f"minion {each.minion} {each.phase}: {held}, {serves}, session {each.session}"
    for waits in reply.waiting:
        if waits.limit:
            why = f"limit {waits.limit} is reached"
        elif waits.sessions:
            why = f"no room at {waits.sessions} minions"
        else:
            why = f"no minion has {waits.function}"
        yield f"waiting {waits.waiting} of {waits.function} in {waits.queue}: {why}"
    for lane in reply.longest_lanes:
        turn = f"behind {lane.job}" if lane.job else "nobody's turn"
        yield f"key {lane.key} of {lane.queue}: {lane.waiting} in line, {turn}"
    for part in reply.partitions:
        paused = ", paused" if part.paused else ""
        lag = f", {part.lag} behind" if part.HasField("lag") else ""
        yield (
            f"partition {part.queue}/{part.partition}: finished up to {part.offset},"
            f" {part.unfinished_span} beyond, {part.waiting} waiting{lag}{paused}"
        )
