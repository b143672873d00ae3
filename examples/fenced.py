"""A job that may run twice, and changes the world once: the fencing token makes its writes conditional.

An attempt can outlive its lease: a minion that was suspended wakes up and goes on, while another has long run
the job again. Jobstream refuses its receipt, but cannot take back what it writes elsewhere. So the function
hands its epoch to the store, and the store takes no write of an older epoch than it has seen.

    jobstream minion examples.fenced
    jobstream submit examples.pay '{"account": "a-1", "cents": 1999}' --wait
"""

import os
import sqlite3
from collections.abc import Iterator

from jobstream import Context, function, resource

LEDGER = os.environ.get("LEDGER", "ledger.sqlite")
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS payments (job TEXT PRIMARY KEY, epoch INTEGER, account TEXT, cents INTEGER)"
)
# Inserts once; written again only by an epoch that is not older than the one that wrote before.
WRITE = """
INSERT INTO payments VALUES (:job, :epoch, :account, :cents)
ON CONFLICT (job) DO UPDATE SET epoch = :epoch, account = :account, cents = :cents
WHERE :epoch >= payments.epoch
"""


@resource
def ledger() -> Iterator[sqlite3.Connection]:
    """Opens the ledger once per minion, and closes it after the last job."""
    connection = sqlite3.connect(LEDGER, check_same_thread=False, isolation_level=None)
    connection.execute(SCHEMA)
    yield connection
    connection.close()


@function(name="examples.pay")
def pay(account: str, cents: int, *, ctx: Context, ledger: sqlite3.Connection) -> bool:
    """Pays once, however often it runs; False if a later attempt has paid already."""
    written = ledger.execute(
        WRITE, {"job": ctx.job_id, "epoch": ctx.epoch, "account": account, "cents": cents}
    )
    return written.rowcount == 1
