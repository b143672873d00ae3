"""What code that asks for jobs imports: the client and the handle of a job. Importing it loads librdkafka."""

from jobstream.client.client import Client, Job, open_default

__all__ = ["Client", "Job", "open_default"]
