"""A child process that cannot outlive us: started tethered, stopped politely and then by force.

Owns the process, from start to exit code. Knows nothing of what it runs. Must never leave a process behind.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self


class Child:
    """One running process, with its output in a file.

    On Linux it dies with this process, even when that is killed with SIGKILL. It is in a session of its own,
    so that a Ctrl-C at the terminal reaches this process only, which then stops its children in order.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.log = log
        self._process = process
        self._ended = threading.Event()

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Self:
        """Run `command` with standard output and error appended to `log`.

        Raises OSError if the log cannot be written. A command that is not there shows as an early exit. The
        kernel sends the parent-death signal when the *thread* that started the process ends (prctl(2)). So a
        thread of its own starts each child and then waits for its end, and callers may come from any thread.
        """
        import relay

        program = Path(relay.__file__).with_name("tether.py")
        tether = [sys.executable, "-I", "-S", str(program), str(int(signal.SIGKILL)), str(os.getpid())]
        argv = [*tether, *command]
        outcome: list[Self | BaseException] = []
        decided = threading.Event()

        def own() -> None:
            try:
                with log.open("ab") as output:
                    process = subprocess.Popen(
                        argv,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        env=None if env is None else dict(env),
                        cwd=cwd,
                        pass_fds=pass_fds,
                        start_new_session=True,
                    )
            except BaseException as error:  # noqa: BLE001 - carried to the caller's thread and raised there
                outcome.append(error)
                decided.set()
                return
            child = cls(process, log)
            outcome.append(child)
            decided.set()
            process.wait()
            child._ended.set()

        threading.Thread(target=own, name=f"child:{command[0]}", daemon=True).start()
        decided.wait()
        result = outcome[0]
        if isinstance(result, BaseException):
            raise result
        return result

    @property
    def pid(self) -> int:
        """The process id; of the command itself, since the tether becomes it."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return not self._ended.is_set()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal, as in subprocess."""
        return self._process.returncode if self._ended.is_set() else None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; False when it still runs after `timeout_s` seconds."""
        return self._ended.wait(timeout_s)

    def send(self, signum: signal.Signals) -> None:
        """Send a signal; does nothing when the process has ended."""
        if self.alive:
            self._process.send_signal(signum)

    def stop(self, timeout_s: float = 10.0) -> int:
        """Ask with SIGTERM, insist with SIGKILL after `timeout_s` seconds; returns the exit code. Safe to
        call again.
        """
        self.send(signal.SIGTERM)
        if not self.wait(timeout_s):
            self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """End it with SIGKILL, now, and wait until it is gone. Safe to call again."""
        self.send(signal.SIGKILL)
        self._ended.wait()

    def tail(self, lines: int = 10) -> str:
        """The last lines of its output, for error messages."""
        with self.log.open("rb") as output:
            output.seek(0, os.SEEK_END)
            output.seek(-min(output.tell(), lines * 400), os.SEEK_CUR)
            return "\n".join(output.read().decode(errors="replace").splitlines()[-lines:])
