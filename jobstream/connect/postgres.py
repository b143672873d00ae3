"""PostgreSQL on this machine for the dev cluster: a server of its own, from programs that are installed.

Owns its data directory, its settings and its process. Listens on loopback only, where everybody on this
machine may come in, as to the dev cluster's Kafka. Never runs as root, and never touches a server that is
there.
"""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from jobstream.cluster.child import Child
from jobstream.cluster.errors import ClusterError
from jobstream.cluster.ports import LOOPBACK

USER = DATABASE = "jobstream"
PORT = 5433
"""Beside the server that may be there."""
PACKAGES = Path("/usr/lib/postgresql")
"""Where Debian puts the servers' programs."""
INIT_S = 60.0
STOP_S = 15.0
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "wal_level": "logical",  # an outbox is read from its log
    "max_connections": "50",
    "log_min_messages": "warning",
}
_ACCOUNTS = ("postgres", "nobody")
"""Whom a server of root runs as."""


class PostgresMissing(ClusterError):
    """There is no PostgreSQL here, or it cannot run."""


def programs() -> Path:
    """The folder with the server's programs: that of the path, else Debian's newest.

    Raises:
        PostgresMissing: There is none.
    """
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    versions = [path for path in PACKAGES.glob("*/bin") if (path / "postgres").exists()]
    if not versions:
        raise PostgresMissing(
            "there is no PostgreSQL server on this machine: install one (Debian package postgresql),"
            " or name a database in JOBSTREAM_DATABASE"
        )
    return max(
        versions, key=lambda path: [int(part) for part in path.parent.name.split(".") if part.isdecimal()]
    )


def url(port: int) -> str:
    """The address of the database of a server that listens there."""
    return f"postgresql://{USER}@{LOOPBACK}:{port}/{DATABASE}"


def start(data: Path, log: Path, port: int) -> Child:
    """Starts a server on `data`, which is made first if need be; it does not answer yet.

    Raises:
        PostgresMissing: There is none here, or it refuses.
    """
    home, be = programs(), _as_another()
    if not (data / "PG_VERSION").exists():
        _make(data, home, be)
    settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
    return Child.start([*be, str(home / "postgres"), "-D", str(data), f"-p{port}", *settings], log=log)


def stop(server: Child) -> None:
    """Ends it, politely (clients are thrown out), then by force."""
    server.send(signal.SIGINT)
    if not server.wait(STOP_S):
        server.kill()


def _make(data: Path, home: Path, be: list[str]) -> None:
    data.mkdir(parents=True, exist_ok=True)
    if be:
        account = pwd.getpwnam(_account())
        os.chown(data, account.pw_uid, account.pw_gid)
    data.chmod(0o700)
    command = [str(home / "initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C"]
    done = subprocess.run(  # noqa: S603  # none of it comes from outside
        [*be, *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=INIT_S,
        cwd=data if not be else "/",
    )
    if done.returncode:
        shutil.rmtree(data, ignore_errors=True)
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise PostgresMissing(f"PostgreSQL cannot make {data}: {why}")


def _account() -> str:
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise PostgresMissing("PostgreSQL does not run as root, and there is no user postgres or nobody here")


def _as_another() -> list[str]:
    """What comes before a command that must not run as root. Changing the user drops the tie to the parent's
    life, so it is tied again: SIGINT is PostgreSQL's fast shutdown.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise PostgresMissing("PostgreSQL does not run as root, and setpriv (util-linux) is not here")
    account = pwd.getpwnam(_account())
    group = str(account.pw_gid)
    return ["setpriv", "--reuid", account.pw_name, "--regid", group, "--clear-groups", "--pdeathsig", "INT"]
