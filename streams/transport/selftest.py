"""Is this the Faust, aiokafka and librdkafka that the transport was written for?

Owns the list of every private bit that the package relies on, so that an upgrade that takes one away fails at
the start with a sentence, and not in a rebalance. Must never talk to a broker.
"""

import importlib.metadata
import inspect
import sys
from typing import Any, Final

import aiokafka.consumer.group_coordinator
import faust
import faust.app.base
import faust.tables.manager
import faust.tables.recovery
import faust.transport.conductor
import faust.transport.consumer
import faust.transport.drivers.aiokafka as driver
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer
from faust.exceptions import ImproperlyConfigured
from mode.services import ServiceTask

from streams.transport.membership import NO_GENERATION, group_metadata

VERSIONS: Final = {
    "faust-streaming": "0.15.3",
    "aiokafka": "0.14.",
    "mode-streaming": "0.7.",
    "confluent-kafka": "2.",
}
"""What each version must begin with."""

METHODS: Final[dict[Any, dict[str, tuple[str, ...]]]] = {
    driver.Consumer: {
        "_drain_messages": ("fetcher",),
        "_new_consumer_thread": (),
        "close": (),
        "commit": ("topics", "start_new_transaction"),
        "force_commit": ("topics", "start_new_transaction"),
        "on_partitions_revoked": ("revoked",),
        "perform_seek": (),
        "resume_flow": (),
        "stop_flow": (),
        "verify_event_path": ("now", "tp"),
        "wait_empty": (),
    },
    driver.AIOKafkaConsumerThread: {"_ensure_consumer": ()},
    driver.ConsumerRebalanceListener: {"on_partitions_assigned": ("assigned",)},
    faust.Agent: {"_execute_actor": ("coro", "aref")},
    faust.Table: {
        "_new_store_by_url": ("url",),
        "on_rebalance": ("assigned", "revoked", "newly_assigned", "generation_id"),
    },
    faust.tables.manager.TableManager: {"_update_channels": (), "on_start": ()},
    faust.tables.recovery.Recovery: {
        "_is_changelog_tp": ("tp",),
        "_set_recovery_ended": (),
        "_set_recovery_started": (),
        "flush_buffers": (),
        "on_partitions_revoked": ("revoked",),
    },
    faust.app.base.App: {
        "_on_partitions_revoked": ("revoked",),
        "_stop_consumer": (),
        "on_rebalance_end": (),
    },
    aiokafka.consumer.group_coordinator.GroupCoordinator: {"_do_heartbeat": ()},
}
"""By class: each method that is called or replaced, and its parameters after self."""

SOURCES: Final[dict[Any, tuple[str, ...]]] = {
    AIOKafkaConsumer: ("self._coordinator",),
    aiokafka.consumer.group_coordinator.GroupCoordinator: (
        "self.generation",
        "self.member_id",
        "self.group_id",
    ),
    driver.AIOKafkaConsumerThread: ("self._rebalance_listener",),
    faust.transport.conductor.Conductor: ("self._tp_index",),
    faust.tables.manager.TableManager: ("self._changelogs", "self._recovery"),
    faust.tables.recovery.Recovery: ("self._generation_id", "self.signal_recovery_start", "self.completed"),
    faust.Agent: ("self._on_error",),
}
"""By class: each attribute that is read or set, as the source of its module spells it."""

TASKS: Final = ("_restart_recovery", "_slurp_changelogs", "_publish_stats")
"""Service tasks of `Recovery` that are replaced."""


def selftest() -> None:
    """Raises ImproperlyConfigured with one sentence per finding if anything relied on is not as it was."""
    findings = [*_versions(), *_methods(), *_attributes(), *_tasks(), *_group_metadata()]
    if findings:
        raise ImproperlyConfigured("the transport does not fit what is installed: " + "; ".join(findings))


def _versions() -> list[str]:
    found = {name: importlib.metadata.version(name) for name in VERSIONS}
    return [
        f"{name} must be {wanted}*, got {found[name]}"
        for name, wanted in VERSIONS.items()
        if not (found[name] + ".").startswith(wanted.rstrip(".") + ".")
    ]


def _methods() -> list[str]:
    return [
        f"{owner.__name__}.{name} must take ({', '.join(wanted)}), got ({', '.join(found)})"
        for owner, methods in METHODS.items()
        for name, wanted in methods.items()
        if (found := _parameters(owner, name)) != wanted
    ]


def _parameters(owner: Any, name: str) -> tuple[str, ...]:
    method = getattr(owner, name, None)
    if method is None:
        return ("no such method",)
    return tuple(inspect.signature(method).parameters)[1:]


def _attributes() -> list[str]:
    return [
        f"{owner.__name__} must have {name}"
        for owner, names in SOURCES.items()
        for name in names
        if name not in inspect.getsource(sys.modules[owner.__module__])
    ]


def _tasks() -> list[str]:
    found = vars(faust.tables.recovery.Recovery)
    return [
        f"Recovery.{name} must be a service task"
        for name in TASKS
        if not isinstance(found.get(name), ServiceTask)
    ]


def _group_metadata() -> list[str]:
    """Compares our bytes with those of a real consumer; it never connects."""
    findings = []
    for instance in (None, "slot-1"):
        config = {"bootstrap.servers": "127.0.0.1:1", "group.id": "selftest", "log_level": 0}
        consumer = Consumer(config | ({} if instance is None else {"group.instance.id": instance}))
        wanted = consumer.consumer_group_metadata()
        consumer.close()
        found = group_metadata("selftest", NO_GENERATION, "", instance)
        if found != wanted:
            findings.append(f"group metadata must be {wanted!r}, got {found!r}")
    return findings
