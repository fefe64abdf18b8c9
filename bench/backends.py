"""The embedded Triton's native backends beside the Python-based ones: one encoder, the same calls, interleaved rounds.

    python -m bench.backends MODEL.onnx [--config openvino-bfloat16] [--threads 2] [--rounds 5]

Both servers run all the time, and only one is asked. Prints, for each number of rows, the time of a call from the send
(p50, and p99 over all rounds), the processor time of all of that server's processes for a row, and the native one's
over the Python-based one's (median, lowest and highest of the rounds); then start and memory.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from bench.service import ROOT
from core.triton.cpu_shape import CpuShape
from core.triton.encoder_configs import named_configs
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton, EmbeddedTritonSettings

_VERSION = 1
_MAX_TOKENS = 64
# Rows and calls at once: one caller's text, and what the gateway makes of 16 and of 64 callers.
_LOADS = ((1, 1), (8, 2), (32, 2))
# Of the calls of a caller, one after the other, as real queries have them.
_TOKENS = (5, 7, 4, 9, 6, 12, 8, 5, 10, 6, 7, 3)


@dataclass(frozen=True)
class Server:
    """A Triton with the encoder loaded.

    Attributes:
        client: its connection.
        pid: of its process; its stubs are children of it.
        load_s: until the encoder was loaded and warm.
    """

    client: TritonClient
    pid: int
    load_s: float


@dataclass(frozen=True)
class Run:
    """One server in one round.

    Attributes:
        call_ms: time of each call.
        core_ms: processor time for a row, of all processes of the server.
    """

    call_ms: list[float]
    core_ms: float


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL.onnx", help="an encoder's file")
    parser.add_argument("--config", default="openvino-bfloat16", help="openvino or openvino-bfloat16")
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one server in one round")
    args = parser.parse_args()
    args.model = args.model.resolve()
    asyncio.run(_measure(args))
    return 0


async def _measure(args: argparse.Namespace) -> None:
    shape = CpuShape(args.instances, args.threads)
    configs = named_configs(_MAX_TOKENS, shape=shape)
    async with AsyncExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {
            name: await _started(stack, place / name, args.model, configs[args.config], native=name == "native")
            for name in ("python", "native")
        }
        for rows, at_once in _LOADS:
            runs: dict[str, list[Run]] = {name: [] for name in servers}
            for number in range(args.rounds):
                for name in list(servers) if number % 2 == 0 else list(reversed(servers)):
                    runs[name].append(await _run(servers[name], rows, at_once, args.seconds))
            _print_runs(f"{rows} rows, {at_once} at once", runs)
        for name, server in servers.items():
            sys.stdout.write(f"{name:8} loaded in {server.load_s:.2f} s, {_memory_mb(server.pid):.0f} MB\n")


async def _started(stack: AsyncExitStack, place: Path, model: Path, config: str, *, native: bool) -> Server:
    version = place / "models/encoder" / str(_VERSION)
    version.mkdir(parents=True)
    (version / "model.onnx").symlink_to(model)
    (version.parent / "config.pbtxt").write_text(config, encoding="utf-8")
    settings = EmbeddedTritonSettings(
        triton_env=ROOT / ".venv-triton",
        model_repository=place / "models",
        state_folder=place / "state",
        log_path=place / "triton.log",
        native_backends=native,
    )

    async def nothing() -> None:
        pass

    triton = await stack.enter_async_context(EmbeddedTriton(settings, nothing))
    client = await stack.enter_async_context(TritonClient(triton.grpc_address))
    began_s = time.monotonic()
    await client.load("encoder", config, [_VERSION], timeout_s=120)
    assert triton.pid is not None
    return Server(client, triton.pid, time.monotonic() - began_s)


async def _run(server: Server, rows: int, at_once: int, seconds: float) -> Run:
    texts = [np.random.default_rng(0).integers(1, 1000, (rows, tokens), dtype=np.int64) for tokens in _TOKENS]
    call_ms: list[float] = []
    before_s, end_s = _processor_s(server.pid), time.monotonic() + seconds

    async def caller() -> None:
        for ids in itertools.cycle(texts):
            if time.monotonic() > end_s:
                return
            inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            sent_s = time.perf_counter()
            await server.client.infer("encoder", _VERSION, inputs, output="sentence_embedding", timeout_s=30)
            call_ms.append((time.perf_counter() - sent_s) * 1e3)

    await asyncio.gather(*(caller() for _ in range(at_once)))
    return Run(call_ms, (_processor_s(server.pid) - before_s) * 1e3 / (len(call_ms) * rows))


def _print_runs(title: str, runs: dict[str, list[Run]]) -> None:
    sys.stdout.write(f"{title}\n")
    medians = {name: [statistics.median(run.call_ms) for run in each] for name, each in runs.items()}
    core = {name: [run.core_ms for run in each] for name, each in runs.items()}
    for name, each in runs.items():
        p99 = float(np.percentile([ms for run in each for ms in run.call_ms], 99))
        sys.stdout.write(
            f"  {name:8} p50 {statistics.median(medians[name]):6.2f} ms  p99 {p99:6.2f} ms  "
            f"{statistics.median(core[name]):5.2f} core-ms a row\n"
        )
    sys.stdout.write(f"  native over python: p50 {_ratio(medians)}, core-ms {_ratio(core)}\n")
    sys.stdout.flush()


def _ratio(figures: dict[str, list[float]]) -> str:
    ratios = [native / python for native, python in zip(figures["native"], figures["python"], strict=True)]
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"


def _processor_s(pid: int) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _processes(pid) if process.name() != "sleep")


def _memory_mb(pid: int) -> float:
    total = 0
    for process in _processes(pid):
        with suppress(psutil.NoSuchProcess):  # a shell that watches over a stub starts others
            total += process.memory_full_info().uss
    return total / 1e6


def _processes(pid: int) -> list[psutil.Process]:
    server = psutil.Process(pid)
    return [server, *server.children(recursive=True)]


if __name__ == "__main__":
    sys.exit(main())
