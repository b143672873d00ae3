"""Waits until the embedded broker really serves, and tells why when it does not.

Owns the questions that are asked at its start. Must never say yes before a first use would succeed.
"""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from jobstream.cluster.child import Child
from jobstream.cluster.errors import BrokerFailed, PortTaken
from jobstream.cluster.ports import LOOPBACK

READY_TIMEOUT_S = 60.0

_POLL_S = 0.02
_PATIENCE_MIN_S = 0.1
_PATIENCE_MAX_S = 5.0


def wait_until_it_serves(child: Child, port: int) -> None:
    """Returns once the broker answers, and has its group and transaction coordinators loaded.

    Each question is asked with little patience first: after an answer of "not yet" librdkafka waits 0.5 to 1
    s, where a new client asks at once.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    for answers in (_listens, _answers_metadata, _coordinates):
        patience_s = _PATIENCE_MIN_S
        while not answers(port, patience_s):
            patience_s = min(2 * patience_s, _PATIENCE_MAX_S)
            if not child.alive:
                raise _early_end(child, port)
            if time.monotonic() > deadline:
                raise BrokerFailed(
                    f"Kafka did not serve on {LOOPBACK}:{port} in {READY_TIMEOUT_S:.0f} s; see {child.log}"
                )
            time.sleep(_POLL_S)


def _listens(port: int, timeout_s: float) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def _answers_metadata(port: int, timeout_s: float) -> bool:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        return bool(AdminClient(_client(port)).list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return False


def _coordinates(port: int, timeout_s: float) -> bool:
    """Uses both coordinators once: at first they answer "load in progress", which nobody else shall see."""
    with ThreadPoolExecutor(2, thread_name_prefix="warm-up") as pool:
        return all(
            pool.map(lambda warm_up: warm_up(port, timeout_s), (_warm_up_transactions, _warm_up_groups))
        )


def _warm_up_transactions(port: int, timeout_s: float) -> bool:
    """Leaves an unused transactional id behind, which the broker forgets after a week."""
    from confluent_kafka import KafkaException, Producer

    try:
        Producer({**_client(port), "transactional.id": "jobstream-warm-up"}).init_transactions(timeout_s)
    except KafkaException:
        return False
    return True


def _warm_up_groups(port: int, timeout_s: float) -> bool:
    """Only asks, so it leaves no group behind."""
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    consumer = Consumer({**_client(port), "group.id": "jobstream-warm-up"})
    try:
        consumer.committed([TopicPartition("jobstream-warm-up", 0)], timeout=timeout_s)
    except KafkaException:
        return False
    finally:
        consumer.close()
    return True


def _client(port: int) -> dict[str, str | int | float | bool]:
    return {"bootstrap.servers": f"{LOOPBACK}:{port}", "log_level": 0, "retry.backoff.ms": 20}


def _early_end(child: Child, port: int) -> Exception:
    why = why_it_ended(child)
    if "Address already in use" in why:
        return PortTaken(
            f"port {port} on {LOOPBACK} was taken by another program; stop it, or name another port"
        )
    return BrokerFailed(
        f"Kafka ended while it started (exit code {child.exit_code}): {why}; its log is {child.log}"
    )


def why_it_ended(child: Child) -> str:
    """The root cause that Kafka logged, else the last line of the log."""
    text = child.log.read_text(errors="replace")
    causes = re.findall(
        r"^(?:Caused by: |Exception in thread \S+ )?(\S+(?:Exception|Error): .+)$", text, re.MULTILINE
    )
    lines = causes or text.split("\n") if text else ["it said nothing"]
    return str(next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing"))
