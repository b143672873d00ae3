"""Who brings minions when there is work for them: three hooks, and what is shipped to be told by them."""

from relay.scheduler.hooks import Scheduler
from relay.scheduler.pools import Kind, Launcher, LaunchFailed, Pools

__all__ = ["Kind", "LaunchFailed", "Launcher", "Pools", "Scheduler"]
