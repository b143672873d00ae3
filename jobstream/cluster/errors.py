"""What can go wrong with the embedded cluster, each as one clear sentence for the person at the terminal.

Owns the exceptions of this package. Never wraps a programming error: those pass through as they are.
"""


class ClusterError(Exception):
    """The embedded broker cannot run here; the message names the value found and what to do."""


class JavaMissing(ClusterError):
    """No Java of version 17 or newer was found, and none could be installed."""


class ArtifactsMissing(ClusterError):
    """The broker's published jars are not in the cache and could not be fetched."""


class PortTaken(ClusterError):
    """Another program listens on the port that was asked for."""


class DataUnusable(ClusterError):
    """The data directory is missing, not writable, full, or not a broker's."""


class AlreadyRunning(ClusterError):
    """Another broker works on the same data directory."""


class BrokerFailed(ClusterError):
    """The broker's process ended, or did not serve in time."""
