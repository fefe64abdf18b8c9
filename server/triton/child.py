"""One run of tritonserver: the process, its process group, its part of the log and its shared memory."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from domain.errors import StorageError

_LOG_TAIL_BYTES = 16_384
_LOG_TAIL_LINES = 15
_SHARED_MEMORY = Path("/dev/shm")


class TritonChild:
    """A started tritonserver, leader of a process group that its Python stubs are in."""

    def __init__(
        self, process: asyncio.subprocess.Process, server_id: str, log_path: Path, log_start_bytes: int
    ) -> None:
        self.server_id = server_id
        self._process = process
        self._log_path = log_path
        self._log_start_bytes = log_start_bytes

    @property
    def pid(self) -> int:
        """The process id, also of one that has ended."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """True until it has ended."""
        return self._process.returncode is None

    def is_stopped(self) -> bool:
        """True while it is suspended."""
        return _state(self.pid) in ("T", "t")

    def dead_children(self) -> frozenset[int]:
        """Returns the ids of its children that have ended and that it has not waited for."""
        # Asked many times a second, and the server has some fifty threads: no pathlib here.
        children: set[int] = set()
        tasks = f"/proc/{self.pid}/task"
        with contextlib.suppress(OSError):
            for task in os.listdir(tasks):
                with contextlib.suppress(OSError), open(f"{tasks}/{task}/children", encoding="ascii") as file:
                    children.update(map(int, file.read().split()))
        return frozenset(child for child in children if _state(child) == "Z")

    def kill(self) -> None:
        """Ends it at once, with what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        """Returns the exit code once it has ended; minus the signal's number where one ended it."""
        return await self._process.wait()

    async def end(self, grace_s: float = 0.0) -> None:
        """Ends it, kills what is left of its group and frees its shared memory.

        A stub would notice within 4 s that its server is gone, and clean up itself. Killing it here, and names of
        its own for each start, make that wait unnecessary.

        Args:
            grace_s: how long it may take to end by itself after being asked to, in seconds; 0 asks nothing.
        """
        try:
            if self.is_running and grace_s > 0:
                self._process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), grace_s)
        finally:
            self.kill()
            await self._process.wait()
            for path in _SHARED_MEMORY.glob(f"{self.server_id}*"):  # noqa: ASYNC240 - memory, not a disk
                path.unlink(missing_ok=True)

    def log_tail(self) -> str:
        """The last lines that this run wrote, after a few words that say where they are from."""
        with self._log_path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            start = self._log_start_bytes if self._log_start_bytes <= end else 0  # it was cut meanwhile
            log.seek(max(start, end - _LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return f"the last lines of {self._log_path}:\n" + "\n".join(lines)


def _state(pid: int) -> str:
    """Returns the state of a process as one letter; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def free_shared_memory_of_the_dead() -> None:
    """Removes what servers left in shared memory whose gateway was killed; the name tells the gateway's process id."""
    for path in _SHARED_MEMORY.glob("shortlist-*"):
        parts = path.name.split("-")
        if len(parts) > 2 and parts[1].isdigit() and not Path(f"/proc/{parts[1]}").exists():
            path.unlink(missing_ok=True)


async def start_child(command: Sequence[str], server_id: str, log_path: Path) -> TritonChild:
    """Starts a process in a group of its own, its output appended to a file.

    Args:
        command: program and arguments.
        server_id: prefix of the names of its shared memory, different for each start.
        log_path: created with its folder if missing.

    Raises:
        StorageError: the log cannot be written, or no process can be started.
    """
    try:
        free_shared_memory_of_the_dead()
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            log_start_bytes = log.tell()
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    except OSError as error:
        raise StorageError(f"cannot start Triton with its log at {log_path}: {error}; choose another folder") from error
    return TritonChild(process, server_id, log_path, log_start_bytes)
