"""Client of Triton: loads exact versions of a model and asks them.

Over tritonclient's generated stubs and grpc.aio. Measured against tritonclient.grpc.aio on one row of 16 tokens: 1.02
and 1.03 ms a call, so speed does not decide; the stubs give the status code as it is and need no private parts.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import grpc.aio
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2, service_pb2_grpc

from domain.errors import DeadlineExceeded, ReleaseRejected
from server.trace import with_trace
from server.triton import failures, messages
from server.triton.access_key import AccessKey

_PROBE_TIMEOUT_S = 2.0
_POLL_FIRST_S = 0.02
_POLL_LONGEST_S = 0.25
_CHANNEL_OPTIONS = (
    ("grpc.enable_retries", 0),  # UNAVAILABLE also means a full queue: never blindly again
    ("grpc.enable_http_proxy", 0),  # a Triton is a neighbour
    ("grpc.use_local_subchannel_pool", 1),
    # A restarted Triton is found again at once rather than after grpc's default of up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
)


class TritonClient:
    """One channel to one Triton. Use it from one event loop, any number of calls at once."""

    def __init__(self, address: str, key: AccessKey | None = None) -> None:
        """Keeps the address; `open` connects.

        Args:
            address: HOST:PORT or unix:PATH of Triton's gRPC endpoint.
            key: sent with each call, for a Triton whose protocols are restricted.
        """
        self._address = address
        self._headers = None if key is None else (key.header,)
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None
        # Two loads of one model at once answer each other's versions.
        self._load_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._under_way: set[Any] = set()
        self.answered_at_s = 0.0
        self.is_silent = False

    @property
    def address(self) -> str:
        """HOST:PORT or unix:PATH of the Triton that is called."""
        return self._address

    async def open(self) -> None:
        """Opens the channel; connects with the first call."""
        self._channel = grpc.aio.insecure_channel(self._address, options=_CHANNEL_OPTIONS)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self.answered_at_s = asyncio.get_running_loop().time()

    async def aclose(self) -> None:
        """Closes the channel; calls under way end with an error."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def __aenter__(self) -> "TritonClient":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def is_live(self) -> bool:
        """Returns whether a Triton answers and takes calls, with any models or none."""
        try:
            answer = await self._call("ServerReady", service_pb2.ServerReadyRequest(), _PROBE_TIMEOUT_S)
        except grpc.RpcError:
            return False
        return bool(answer.ready)

    async def is_answering(self, timeout_s: float) -> bool:
        """Returns whether the server answers anything within this time, in seconds."""
        try:
            await self._call("ServerLive", service_pb2.ServerLiveRequest(), timeout_s)
        except grpc.RpcError:
            return False
        return True

    def silence(self) -> None:
        """Ends the inferences under way and refuses further ones, until the server answers anything again."""
        self.is_silent = True
        self.interrupt()

    def interrupt(self) -> None:
        """Ends the inferences under way, as unanswered."""
        for call in tuple(self._under_way):
            self._under_way.discard(call)
            call.cancel()

    async def wait_until_live(self, timeout_s: float) -> None:
        """Returns as soon as Triton takes calls.

        Args:
            timeout_s: how long to wait, in seconds.

        Raises:
            TritonUnresponsive: none did in that time.
        """
        deadline = time.monotonic() + timeout_s
        pause_s = _POLL_FIRST_S
        while not await self.is_live():
            if time.monotonic() + pause_s > deadline:
                raise failures.nobody_there(self._address)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _POLL_LONGEST_S)

    async def load(self, model: str, config_text: str, versions: Sequence[int], timeout_s: float) -> None:
        """Loads exactly these versions of a model, warm, and unloads its others. A failed load changes nothing.

        Args:
            model: name of the model, a folder in Triton's repository.
            config_text: config.pbtxt; its version_policy is replaced.
            versions: the versions to serve afterwards, at least one.
            timeout_s: for loading and warming up, in seconds.

        Raises:
            ReleaseRejected: Triton refuses, with Triton's reason; or `config_text` is not a configuration.
            TritonNotUsable: no Triton is there, or it was started without explicit model control.
            TritonUnresponsive: the model's process died or stood still.
            DeadlineExceeded: not ready in time; Triton may go on loading.
        """
        request = service_pb2.RepositoryModelLoadRequest(model_name=model)
        request.parameters["config"].string_param = messages.load_config(model, config_text, versions)
        deadline = time.monotonic() + timeout_s
        async with self._load_locks[model]:
            # A channel that lost its server fails calls for a moment after the server is back.
            await self.wait_until_live(min(timeout_s, _PROBE_TIMEOUT_S))
            try:
                await self._call("RepositoryModelLoad", request, timeout_s)
            except grpc.aio.AioRpcError as error:
                raise failures.of_load(
                    error, self._address, f"load {model} version {_list(versions)}", timeout_s
                ) from error
            await self._wait_until_ready(model, versions, deadline)

    async def unload(self, model: str, timeout_s: float = 30.0) -> None:
        """Unloads every version of a model; one that is not loaded is fine.

        Args:
            model: name of the model.
            timeout_s: in seconds.

        Raises:
            ReleaseRejected: Triton refuses, with Triton's reason.
            TritonNotUsable: no Triton is there, or it was started without explicit model control.
            DeadlineExceeded: no answer in time.
        """
        request = service_pb2.RepositoryModelUnloadRequest(model_name=model)
        async with self._load_locks[model]:
            try:
                await self._call("RepositoryModelUnload", request, timeout_s)
            except grpc.aio.AioRpcError as error:
                raise failures.of_load(error, self._address, f"unload {model}", timeout_s) from error

    async def ready_versions(self, model: str) -> tuple[int, ...]:
        """Returns the versions of a model that Triton serves now, ascending; none where it has no such model.

        Raises:
            TritonNotUsable: no Triton is there.
            DeadlineExceeded: no answer in time.
        """
        request = service_pb2.RepositoryIndexRequest(ready=True)
        try:
            index = await self._call("RepositoryIndex", request, _PROBE_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise failures.of_load(error, self._address, "list its models", _PROBE_TIMEOUT_S) from error
        return tuple(sorted(int(entry.version) for entry in index.models if entry.name == model and entry.version))

    async def model_ready(self, model: str, version: int) -> bool:
        """Returns whether Triton says that this version can be asked; False too where no Triton answers.

        It still says so after the model's Python stub died: only `infer` tells, and `unload`, then `load`, repairs it.
        """
        request = service_pb2.ModelReadyRequest(name=model, version=str(version))
        try:
            answer = await self._call("ModelReady", request, _PROBE_TIMEOUT_S)
        except grpc.RpcError:
            return False
        return bool(answer.ready)

    async def infer(
        self, model: str, version: int, inputs: Mapping[str, NDArray[Any]], *, output: str, timeout_s: float
    ) -> NDArray[np.float32]:
        """Asks any model for one output, in one call.

        Args:
            model: its name.
            version: its exact version.
            inputs: int64 or float32 arrays [B, ...] by name.
            output: the output wanted.
            timeout_s: for queue and call together, in seconds.

        Returns:
            float32 [B, m], read-only and finite.

        Raises:
            DeadlineExceeded: no answer in time.
            ModelUnavailable: Triton cannot answer now, or answers something else.
            TritonUnresponsive: Triton ended, or the model's process died or stood still.
        """
        request = messages.tensor_request(model, version, inputs, output)
        row_count = len(next(iter(inputs.values())))
        return messages.read_matrix(await self._infer(request, timeout_s), row_count, output)

    async def _call(self, method: str, request: Any, timeout_s: float) -> Any:  # noqa: ANN401 - generated messages
        answer = await getattr(self._stub, method)(request, timeout=timeout_s, metadata=self._headers)
        self._answered()
        return answer

    def _answered(self) -> None:
        self.answered_at_s = asyncio.get_running_loop().time()
        self.is_silent = False

    async def _infer(self, request: Any, timeout_s: float) -> Any:  # noqa: ANN401 - generated messages
        what = f"{request.model_name} version {request.model_version}"
        if timeout_s <= 0:
            raise DeadlineExceeded(f"no time is left for {what}")
        # The first counts where the model has a queue policy. The second counts always, and cancels what is queued.
        request.parameters["timeout"].int64_param = max(1, int(timeout_s * 1e6))
        if self.is_silent:
            raise failures.silent(self._address, what)
        call = self._stub.ModelInfer(request, timeout=timeout_s, metadata=with_trace(self._headers))
        self._under_way.add(call)
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            raise failures.of_call(error, self._address, what) from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if call in self._under_way or (task is not None and task.cancelling()):
                raise
            raise failures.silent(self._address, what) from error
        finally:
            self._under_way.discard(call)
        self._answered()
        return answer

    async def _wait_until_ready(self, model: str, versions: Sequence[int], deadline: float) -> None:
        for version in versions:
            pause_s = _POLL_FIRST_S
            while not await self.model_ready(model, version):
                # Triton answers a load after the fact, so what is not ready now is missing rather than late.
                reason = await self._unavailable_reason(model, version)
                if reason is not None:
                    raise ReleaseRejected(f"Triton does not serve {model} version {version}: {reason}")
                if time.monotonic() + pause_s > deadline:
                    raise DeadlineExceeded(f"Triton did not make {model} version {version} ready in time")
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _POLL_LONGEST_S)

    async def _unavailable_reason(self, model: str, version: int) -> str | None:
        """Returns why Triton will not serve it, or None while it may still come."""
        try:
            index = await self._call("RepositoryIndex", service_pb2.RepositoryIndexRequest(), _PROBE_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise failures.of_load(error, self._address, "list its models", _PROBE_TIMEOUT_S) from error
        for entry in index.models:
            if entry.name == model and entry.version == str(version):
                return None if entry.state in ("LOADING", "READY") else f"{entry.state} {entry.reason}".strip()
        return "it has no such version; the model repository must be a folder that the gateway and Triton both see"


def _list(versions: Sequence[int]) -> str:
    return ", ".join(map(str, versions))
