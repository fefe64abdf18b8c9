"""Quality and speed of each precision, measured in one run, on the same texts and cores."""

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.triton.model_config import length_buckets
from domain.errors import EncoderNotUsable, ParityFailed
from domain.manifest import FLOAT32, PRECISIONS
from domain.progress import Progress
from export.encoder.onnx import INPUT_NAMES
from export.encoder.source import EncoderSource
from export.onnx_session import open_session
from export.precision.calibration import Precision
from export.precision.gate import PrecisionReport
from export.prepare_encoder import DEFAULT_MAX_BATCH_SIZE, prepare_encoder

_ROUNDS = 9
_LEAST_S = 0.05
_PADDED_TOKENS = 1024


@dataclass(frozen=True)
class Speed:
    """Speed in calls of one shape.

    Attributes:
        tokens: length of the rows.
        rows: in a call.
        rate: median over the rounds.
        ratio: median over the rounds of its rate over float32's in the same round.
        lowest: of these ratios.
        highest: of these ratios.
    """

    tokens: int
    rows: int
    rate: float
    ratio: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class PrecisionRow:
    """Measurements of one precision.

    Attributes:
        name: of the precision.
        size_bytes: of its file; 0 where there is none.
        gate: what its gate measured; None for float32 and for one that was refused.
        refused: why there is no file; empty where there is one.
        speeds: by shape; empty where there is no file.
    """

    name: str
    size_bytes: int
    gate: PrecisionReport | None
    refused: str
    speeds: tuple[Speed, ...]


@dataclass(frozen=True)
class PrecisionTable:
    """Measurements of every precision of an encoder.

    Attributes:
        encoder: its name.
        text_count: texts the gates measured on.
        machine: which processor, and how many cores.
        rows: float32 first.
    """

    encoder: str
    text_count: int
    machine: str
    rows: tuple[PrecisionRow, ...]


def measure_precisions(
    source: EncoderSource, texts: tuple[str, ...], cache: Path, progress: Progress
) -> PrecisionTable:
    """Prepares each precision and times them in turns. Blocking, on every core, some minutes.

    Raises:
        CalibrationNotUsable: the texts are too few.
        EncoderNotUsable, ParityFailed: the float32 file can't be had; of another precision this becomes its row.
        StorageError: the cache can't be written.
    """
    Precision(PRECISIONS[-1], texts).check()
    files: dict[str, Path] = {}
    rows: list[PrecisionRow] = []
    for name in PRECISIONS:
        try:
            made = prepare_encoder(
                source,
                cache,
                max_batch_size=DEFAULT_MAX_BATCH_SIZE,
                progress=progress,
                precision=Precision(name, texts),
            )
        except (EncoderNotUsable, ParityFailed) as error:
            if name == FLOAT32:
                raise
            rows.append(PrecisionRow(name, 0, None, str(error), ()))
            continue
        files[name] = made.onnx.path
        rows.append(PrecisionRow(name, made.onnx.size_bytes, made.gate, "", ()))
    progress.step("timing every precision in turns, over lengths and batch sizes")
    speeds = _compare(files, call_shapes(source.max_tokens))
    timed = tuple(
        PrecisionRow(row.name, row.size_bytes, row.gate, row.refused, speeds.get(row.name, ())) for row in rows
    )
    counted = max((row.gate.text_count for row in rows if row.gate is not None), default=0)
    return PrecisionTable(source.name, counted, _machine(), timed)


def call_shapes(max_tokens: int) -> tuple[tuple[int, int], ...]:
    """Returns (tokens, rows) of the calls that are timed: each bucket alone and in a batch of about 1024 tokens."""
    shapes = []
    for bucket in length_buckets(min(max_tokens, 256)):
        largest = max(2, min(DEFAULT_MAX_BATCH_SIZE, _PADDED_TOKENS // bucket))
        shapes += [(bucket, 1), (bucket, largest)]
    return tuple(shapes)


def lines(table: PrecisionTable) -> list[str]:
    """Returns the table as text for a terminal."""
    cells = [
        f"{'':8} {'MB':>7} {'cosine alone':>17} {'mixed':>17} {'company':>10} {'recall@10':>9}   speed, float32 = 1",
        f"{'':8} {'':>7} {'min':>8} {'1st pct':>8} {'min':>8} {'1st pct':>8} {'min':>10} {'kept':>9}   "
        + " ".join(f"{f'{speed.tokens}x{speed.rows}':>7}" for speed in table.rows[0].speeds),
    ]
    for row in table.rows:
        if row.refused:
            cells.append(f"{row.name:8} refused: {row.refused}")
            continue
        gate = row.gate
        kept = (
            f"{'-':>8} {'-':>8} {'-':>8} {'-':>8} {'-':>10} {'-':>9}"
            if gate is None
            else f"{gate.alone_min:8.5f} {gate.alone_p1:8.5f} {gate.mixed_min:8.5f} {gate.mixed_p1:8.5f} "
            f"{gate.company_min:10.7f} {gate.recall_kept:9.3f}"
        )
        speeds = " ".join(f"{speed.ratio:7.2f}" for speed in row.speeds)
        cells.append(f"{row.name:8} {row.size_bytes / 1e6:7.1f} {kept}   {speeds}")
    return cells


def _compare(files: dict[str, Path], shapes: Sequence[tuple[int, int]]) -> dict[str, tuple[Speed, ...]]:
    sessions = {name: open_session(path) for name, path in files.items()}
    speeds_of: dict[str, list[Speed]] = {name: [] for name in files}
    for tokens, rows in shapes:
        ids = np.random.default_rng(0).integers(1, 50, (rows, tokens))
        feed = dict(zip(INPUT_NAMES, (ids, np.ones_like(ids)), strict=True))
        repeats = {name: _repeats(session, feed) for name, session in sessions.items()}
        rates = np.array(
            [
                [rows * repeats[name] / _seconds(session, feed, repeats[name]) for name, session in sessions.items()]
                for _ in range(_ROUNDS)
            ]
        )
        for place, name in enumerate(sessions):
            ratios = rates[:, place] / rates[:, 0]
            speed = Speed(
                tokens=tokens,
                rows=rows,
                rate=float(np.median(rates[:, place])),
                ratio=float(np.median(ratios)),
                lowest=float(ratios.min()),
                highest=float(ratios.max()),
            )
            speeds_of[name].append(speed)
    return {name: tuple(speeds) for name, speeds in speeds_of.items()}


def _repeats(session: Any, feed: dict[str, Any]) -> int:  # noqa: ANN401 - ONNX Runtime has no types
    session.run(None, feed)
    return max(1, round(_LEAST_S / max(_seconds(session, feed, 1), 1e-6)))


def _seconds(session: Any, feed: dict[str, Any], repeats: int) -> float:  # noqa: ANN401
    began = time.perf_counter()
    for _ in range(repeats):
        session.run(None, feed)
    return time.perf_counter() - began


def _machine() -> str:
    name = platform.processor() or platform.machine()
    try:
        cells = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in cells if line.startswith("model name")), name)
        flags = next((line.split() for line in cells if line.startswith("flags")), [])
        kinds = [kind for kind in ("avx2", "avx512_vnni", "avx_vnni", "amx_int8") if kind in flags]
    except OSError:
        kinds = []
    return f"{name}, {os.cpu_count()} cores" + (f" ({', '.join(kinds)})" if kinds else "")
