"""The gateway beside what people write instead, on one release: interleaved rounds of closed loops.

    python -m bench.serving [--releases DIR --queries FILE] [--gateway 'NAME=FLAGS'] [--checkout 'NAME=DIR']

Without a release it builds one of 54,667 goods, whose titles are made of real ones, into .cache/bench (four minutes).

Each server answers the same queries in turns; all of them run all the time, and only one is asked. Prints, for each
number of callers, answers a second and their ratio to the peer's in the same round (median, lowest and highest), p50
and p99, and the processor time of all processes of the server for an answer. Writes the same as JSON. Every round asks
the same queries, so the default gateway keeps no vectors; with --zipf compare with and without.
"""

import argparse
import json
import math
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bench.peers.process import fastapi_search
from bench.search_data import real_titles, write_items, write_queries
from bench.service import ROOT, Running, build_release, serving_command, started
from domain.release_folder import find_release

PEER = "FastAPI + ONNX Runtime + hnswlib"
_ITEM_COUNT, _QUERY_COUNT = 54_667, 2_000
_GATEWAYS = ["gateway=--embedding-cache-mb 0", "gateway, float32=--embedding-cache-mb 0 --precision float32"]
_BODY = '{"text": "{text}", "k": "{k}"}'


@dataclass(frozen=True)
class Run:
    """One server in one round.

    Attributes:
        server: its name.
        callers: callers at once.
        rate: answers a second.
        p50_ms: from the send; NaN where nothing was answered.
        p99_ms: likewise.
        core_ms: processor time of the server's processes for an answer, milliseconds; NaN likewise.
        error_share: calls without an answer.
    """

    server: str
    callers: int
    rate: float
    p50_ms: float
    p99_ms: float
    core_ms: float
    error_share: float


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--releases", type=Path, help="its current release is served")
    parser.add_argument("--queries", type=Path, help="texts, one a line")
    parser.add_argument("--gateway", action="append", metavar="NAME=FLAGS", help="flags of `shortlist up`; may repeat")
    parser.add_argument("--checkout", action="append", metavar="NAME=DIR", help="another checkout; may repeat")
    parser.add_argument("--no-peer", action="store_true", help="the first gateway is what ratios are over")
    parser.add_argument("--callers", default="64,16,1")
    parser.add_argument("--zipf", default="0", help="popularity of the queries (0: each once)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--json", type=Path, help="write every run there")
    args = parser.parse_args()
    if (args.releases is None) != (args.queries is None):
        parser.error("--releases and --queries go together")
    if args.releases is None:
        args.releases, args.queries = _made()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        servers = _servers(args, Path(scratch), stack)
        runs: list[Run] = []
        for callers in map(int, args.callers.split(",")):
            for number in range(args.rounds):
                names = list(servers) if number % 2 == 0 else list(reversed(servers))
                runs += [_run(name, servers[name], callers, args, Path(scratch)) for name in names]
            _print_table(runs, next(iter(servers)), callers)
    if args.json is not None:
        rows = [{name: _finite(value) for name, value in asdict(run).items()} for run in runs]
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return int(not all(any(run.rate for run in runs if run.server == name) for name in servers))


def _made() -> tuple[Path, Path]:
    """Returns a release and queries of real words, built where they are missing."""
    folder, data = ROOT / ".cache/bench", ROOT.parent / "shared/data"
    files = [data / "online-retail/items.jsonl", data / "movielens-small/items.jsonl"]
    files = [file if file.is_file() else ROOT / "sample/items.jsonl" for file in files]
    releases, queries = folder / "releases", folder / "queries.txt"
    if not (releases / "current").exists():
        folder.mkdir(parents=True, exist_ok=True)
        titles = real_titles(files)
        write_items(folder / "items.jsonl", titles, _ITEM_COUNT)
        write_queries(queries, titles, _QUERY_COUNT)
        build_release(folder / "items.jsonl", releases)
    return releases, queries


def _servers(args: argparse.Namespace, scratch: Path, stack: ExitStack) -> dict[str, Running]:
    servers = {}
    if not args.no_peer:
        release = find_release(args.releases, None)
        servers[PEER] = stack.enter_context(fastapi_search(release.path, ROOT / ".cache/peers/fastapi"))
    gateways = [(name, ROOT, flags) for name, _, flags in (one.partition("=") for one in args.gateway or _GATEWAYS)]
    gateways += [(name, Path(folder), "") for name, _, folder in (one.partition("=") for one in args.checkout or [])]
    for number, (name, checkout, flags) in enumerate(gateways):
        command = serving_command(args.releases, scratch / str(number), shlex.split(flags))
        servers[name] = stack.enter_context(started(command, checkout))
    return servers


def _run(name: str, server: Running, callers: int, args: argparse.Namespace, scratch: Path) -> Run:
    report = scratch / "run.json"
    report.unlink(missing_ok=True)  # the run before was another server's
    where = (
        ["--against", server.address, "--http-body", _BODY, "--http-ids", "items.*.id"]
        if server.address.startswith("http")
        else ["--address", server.address]
    )
    command = [sys.executable, "-m", "cli.main", "slo", *where, "--queries", str(args.queries)]
    command += ["--callers", str(callers), "--duration", str(args.seconds), "--warm-up", "2", "--deadline", "10"]
    command += ["--zipf", args.zipf, "--json", str(report)]
    before_s = _processor_s(server.pid)
    subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
    spent_s = _processor_s(server.pid) - before_s
    measured = json.loads(report.read_text(encoding="utf-8"))
    latency = measured["latency_ms"]["sent"]
    # The warm-up's calls cost as much as the counted ones, and are not in their number.
    answers = measured["answered_per_second"] * args.seconds
    # A round in which nothing was answered has no latencies.
    p50_ms, p99_ms = (math.nan if latency[name] is None else latency[name] for name in ("p50", "p99"))
    core_ms = spent_s * 1e3 / answers if answers else math.nan
    return Run(name, callers, measured["answered_per_second"], p50_ms, p99_ms, core_ms, measured["error_share"])


def _finite(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def _processor_s(pid: int) -> float:
    """Returns the processor time of a process and of all its children so far, in seconds."""
    parent = psutil.Process(pid)
    total_s = 0.0
    for process in (parent, *parent.children(recursive=True)):
        times = process.cpu_times()
        total_s += times.user + times.system
    return total_s


def _print_table(runs: Sequence[Run], first: str, callers: int) -> None:
    mine = [run for run in runs if run.callers == callers]
    baseline = [run for run in mine if run.server == first]
    sys.stdout.write(f"\n{callers} callers\n{'server':36} q/s  ratio [low, high]   p50 ms ratio  p99 ms  core-ms\n")
    for name in dict.fromkeys(run.server for run in mine):
        sys.stdout.write(f"{name:36} {row_words([run for run in mine if run.server == name], baseline)}\n")
    sys.stdout.flush()


def row_words(own: Sequence[Run], baseline: Sequence[Run]) -> str:
    """Returns a server's row of the table, over the rounds in which it and the baseline answered.

    Args:
        own: its runs, one a round.
        baseline: those of the server that ratios are over, of the same rounds.
    """
    failed = max(run.error_share for run in own)
    errors = f"  errors {failed:.1%}" if failed else ""
    pairs = [(run, reference) for run, reference in zip(own, baseline, strict=True) if run.rate and reference.rate]
    if not pairs:
        return f"in no round both answered{errors}"
    ratios = [run.rate / reference.rate for run, reference in pairs]
    slower = statistics.median(run.p50_ms / reference.p50_ms for run, reference in pairs)
    rate, p50_ms, p99_ms, core_ms = (
        statistics.median(getattr(run, key) for run, _ in pairs) for key in ("rate", "p50_ms", "p99_ms", "core_ms")
    )
    left_out = f"  {len(own) - len(pairs)} rounds without answers" if len(pairs) < len(own) else ""
    return (
        f"{rate:5.0f} {statistics.median(ratios):5.2f} [{min(ratios):.2f}, {max(ratios):.2f}] {p50_ms:7.1f} "
        f"{slower:5.2f} {p99_ms:7.1f} {core_ms:7.2f}{errors}{left_out}"
    )


if __name__ == "__main__":
    sys.exit(main())
