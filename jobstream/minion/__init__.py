"""What runs jobs: a Minion, made of declared functions. Needs gRPC, protobuf and the schemas, and nothing
else.
"""

from jobstream.minion.invoked import NotConnected, invoked
from jobstream.minion.minion import Minion
from jobstream.minion.modules import run_modules
from jobstream.minion.wire import Wire

__all__ = ["Minion", "NotConnected", "Wire", "invoked", "run_modules"]
