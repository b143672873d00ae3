"""The dev cluster: a real Apache Kafka on one machine, from its published artifacts, without containers.

    with Broker.start("data/kafka", port=0) as broker:
        ...  # broker.bootstrap

Owns everything about that broker's process. Must never be needed by code that is given a broker's address.
"""

from jobstream.cluster.artifacts import KAFKA_VERSION
from jobstream.cluster.broker import Broker, to_stderr
from jobstream.cluster.child import Child
from jobstream.cluster.errors import (
    AlreadyRunning,
    ArtifactsMissing,
    BrokerFailed,
    ClusterError,
    DataUnusable,
    JavaMissing,
    PortTaken,
)
from jobstream.cluster.ports import free_port
from jobstream.cluster.settings import SETTINGS

__all__ = [
    "KAFKA_VERSION",
    "SETTINGS",
    "AlreadyRunning",
    "ArtifactsMissing",
    "Broker",
    "BrokerFailed",
    "Child",
    "ClusterError",
    "DataUnusable",
    "JavaMissing",
    "PortTaken",
    "free_port",
    "to_stderr",
]
