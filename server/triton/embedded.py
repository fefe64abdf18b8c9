"""The embedded Triton: a real tritonserver as a supervised child process.

`open` starts it and returns when it takes calls; a task then waits for the process to end, starts it again on the same
socket with a growing pause, and has the composition root load the live versions again. The child is killed with its
parent (`launcher`); its own children, the Python stubs, are in its process group and end with it (`child`).
"""

import asyncio
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from domain.errors import TritonNotUsable
from server.triton import launcher
from server.triton.backend_directory import BACKENDS
from server.triton.child import TritonChild, start_child
from server.triton.client import TritonClient
from server.triton.installation import TritonInstallation, prepare_installation
from server.triton.log_file import keep_small
from server.triton.plain_paths import PlainPaths
from server.triton.private_socket import PrivateSocket

_RESTART_FIRST_S = 0.5
_RESTART_LONGEST_S = 10.0
_HEALTHY_AFTER_S = 30.0  # a child that lived this long starts the pauses anew


@dataclass(frozen=True)
class EmbeddedTritonSettings:
    """Settings of an embedded Triton.

    Attributes:
        triton_env: the virtual environment made by `make setup`.
        model_repository: the folder that Triton serves from.
        state_folder: a folder of ours for the backends; several gateways may share it.
        log_path: the file that the server's output is appended to.
        log_limit_bytes: a longer log is cut: its content goes to `log_path` with .1 behind.
        log_check_s: how often its length is looked at, in seconds.
        start_timeout_s: until the first answer, in seconds.
        exit_timeout_s: for calls under way at a graceful stop, in whole seconds; 0 kills at once.
        native_backends: whether compiled backends are used where there are some; else all are Python-based.
    """

    triton_env: Path
    model_repository: Path
    state_folder: Path
    log_path: Path
    start_timeout_s: float = 30.0
    exit_timeout_s: int = 5
    log_limit_bytes: int = 16 << 20
    log_check_s: float = 30.0
    native_backends: bool = True


class EmbeddedTriton:
    """One supervised tritonserver. Open it on the main thread: the child is killed when its starter's thread ends."""

    def __init__(self, settings: EmbeddedTritonSettings, on_restart: Callable[[], Awaitable[None]]) -> None:
        """Keeps the settings; `open` starts.

        Args:
            settings: its settings.
            on_restart: loads the live versions; awaited after every restart, again and again until it succeeds.
        """
        self._settings = settings
        self._on_restart = on_restart
        self._log = logging.getLogger(__name__)
        self._installation: TritonInstallation | None = None
        self._child: TritonChild | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._socket = PrivateSocket()
        self._restart_count = 0
        self._paths = PlainPaths()

    @property
    def grpc_address(self) -> str:
        """Target for gRPC, unix:PATH, while it is open; stays the same over restarts."""
        return self._socket.address

    @property
    def log_path(self) -> Path:
        """The server's output, all starts one after the other."""
        return self._settings.log_path

    @property
    def restart_count(self) -> int:
        """Number of restarts of the child since `open`."""
        return self._restart_count

    @property
    def pid(self) -> int | None:
        """The child's process id; None while none runs."""
        child = self._child
        return child.pid if child is not None and child.is_running else None

    def is_stopped(self) -> bool:
        """Returns whether the child is suspended (SIGSTOP, a debugger, a frozen container)."""
        return self._child is not None and self._child.is_stopped()

    def dead_stubs(self) -> frozenset[int]:
        """Returns the ids of the child's own children that have died and that it has not noticed."""
        return frozenset() if self._child is None else self._child.dead_children()

    def replace(self) -> None:
        """Ends the child at once; another is started as after any end."""
        if self._child is not None:
            self._child.kill()

    async def open(self) -> None:
        """Starts the server and returns when it takes calls; no model is loaded yet.

        Raises:
            TritonNotUsable: a part is missing, or the server ends or stays silent.
            StorageError: the state folder, the log or the socket's folder cannot be written.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "open EmbeddedTriton on the main thread: the child is killed when its starter's thread ends"
            )
        settings = self._settings
        if not settings.model_repository.is_dir():
            raise TritonNotUsable(f"the model repository {settings.model_repository} is not a folder; create it first")
        self._installation = await asyncio.to_thread(
            prepare_installation, settings.triton_env, settings.state_folder, native=settings.native_backends
        )
        self._socket.open()
        try:
            self._child = await self._start(self._installation)
        except BaseException:
            self._close_files()
            raise
        self._tasks = (
            asyncio.create_task(self._supervise(), name="triton-supervisor"),
            asyncio.create_task(self._keep_log_small(), name="triton-log"),
        )

    async def aclose(self) -> None:
        """Ends the server, gracefully within its exit timeout, and everything it started."""
        tasks, self._tasks = self._tasks, ()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        child, self._child = self._child, None
        if child is not None:
            # Triton looks once a second whether its models are unloaded, so a graceful stop takes about two seconds.
            exit_timeout_s = self._settings.exit_timeout_s
            await child.end(grace_s=exit_timeout_s + 2 if exit_timeout_s else 0)
        self._close_files()

    async def __aenter__(self) -> "EmbeddedTriton":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _start(self, installation: TritonInstallation) -> TritonChild:
        server_id = f"shortlist-{os.getpid()}-{secrets.token_hex(4)}"
        child = await start_child(self._command(installation, server_id), server_id, self.log_path)
        try:
            await self._wait_until_live(child)
        except BaseException:
            await child.end()
            raise
        return child

    async def _wait_until_live(self, child: TritonChild) -> None:
        async with TritonClient(self.grpc_address) as client:
            answer = asyncio.create_task(client.wait_until_live(self._settings.start_timeout_s))
            ended = asyncio.create_task(child.wait())
            try:
                await asyncio.wait([answer, ended], return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    raise TritonNotUsable(f"tritonserver ended with {ended.result()} at its start; {child.log_tail()}")
                if answer.exception() is not None:
                    waited_s = self._settings.start_timeout_s
                    raise TritonNotUsable(f"tritonserver did not answer within {waited_s:g} s; {child.log_tail()}")
            finally:
                answer.cancel()
                ended.cancel()

    async def _supervise(self) -> None:
        pause_s = _RESTART_FIRST_S
        while (child := self._child) is not None and self._installation is not None:
            live_since = time.monotonic()
            reload = asyncio.create_task(self._reload()) if self._restart_count else None
            try:
                code = await child.wait()
            finally:
                if reload is not None:
                    reload.cancel()
            await child.end()
            self._child = None
            lived = time.monotonic() - live_since >= _HEALTHY_AFTER_S
            if lived:
                pause_s = _RESTART_FIRST_S
            self._child = await self._restart(self._installation, code, 0.0 if lived else pause_s)
            self._restart_count += 1
            pause_s = min(2 * pause_s, _RESTART_LONGEST_S)

    async def _restart(self, installation: TritonInstallation, code: int, pause_s: float) -> TritonChild:
        self._log.error("triton: tritonserver ended with %s, starting it again; its log: %s", code, self.log_path)
        while True:
            await asyncio.sleep(pause_s)
            try:
                return await self._start(installation)
            except Exception:  # whatever it was, an operator may repair it while we keep trying
                pause_s = min(max(2 * pause_s, _RESTART_FIRST_S), _RESTART_LONGEST_S)
                self._log.exception("triton: cannot start it again, next attempt in %.1f s", pause_s)

    async def _reload(self) -> None:
        pause_s = _RESTART_FIRST_S
        while True:
            try:
                await self._on_restart()
                return
            except Exception:  # the callback is not ours
                self._log.exception("triton: cannot load the live versions, next attempt in %.1f s", pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _RESTART_LONGEST_S)

    async def _keep_log_small(self) -> None:
        while True:
            try:
                await asyncio.to_thread(keep_small, self.log_path, self._settings.log_limit_bytes)
            except OSError as error:
                self._log.warning("triton: cannot cut its log %s: %s", self.log_path, error.strerror)
            await asyncio.sleep(self._settings.log_check_s)

    def _close_files(self) -> None:
        self._paths.close()
        self._socket.close()

    def _command(self, installation: TritonInstallation, server_id: str) -> list[str]:
        settings = self._settings
        return [
            # -I -S: nothing of the gateway's environment is imported, the launcher needs only the standard library.
            *(sys.executable, "-I", "-S", str(Path(launcher.__file__).resolve()), str(os.getpid())),
            *(*installation.environment, "--", str(installation.binary)),
            f"--id={server_id}",
            f"--model-repository={self._paths.plain(settings.model_repository.resolve())}",
            f"--backend-directory={self._paths.plain(installation.backend_directory)}",
            *(f"--backend-config={name},shm-region-prefix-name={server_id}" for name in ("python", *BACKENDS)),
            "--model-control-mode=explicit",
            "--disable-auto-complete-config",
            "--strict-readiness=false",  # ready to take calls; which model is ready is asked by name
            *self._socket.flags,
            "--allow-http=false",
            "--allow-metrics=false",  # a page of its own, on a port
            "--pinned-memory-pool-byte-size=0",
            f"--exit-timeout-secs={settings.exit_timeout_s}",
        ]
