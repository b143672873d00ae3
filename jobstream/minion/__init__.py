"""What runs jobs: a Minion, made of declared functions. Needs gRPC, protobuf and the schemas, and nothing
else.
"""

from jobstream.minion.minion import Minion
from jobstream.minion.modules import run_modules

__all__ = ["Minion", "run_modules"]
