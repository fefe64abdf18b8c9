"""Precision gate: a file of lower precision must find what the float32 file finds, alone and in batches."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.text.tokenize import TokenizedText, pad
from domain.errors import ParityFailed
from export.encoder.onnx import INPUT_NAMES, OUTPUT_NAME
from export.onnx_session import open_session

DEPTH = 10
# A canary through Triton must come within 0.9999 of the release's vector, whatever it is batched with there.
COMPANY_LIMIT = 0.9999
_NORM_LIMIT = 1e-4
_SHORT_SHARE = 3  # every third text is cut to a query's length
_QUERY_TOKENS = 12


@dataclass(frozen=True)
class GateLimits:
    """Limits that a precision must keep.

    Attributes:
        lowest_cosine: of any text's vector to its float32 vector.
        low_cosine: of all but one in a hundred.
        recall: share of the ten nearest by float32 that it finds too.
    """

    lowest_cosine: float
    low_cosine: float
    recall: float


LIMITS = {"float16": GateLimits(0.999, 0.9995, 0.97), "int8": GateLimits(0.98, 0.99, 0.9)}


@dataclass(frozen=True)
class PrecisionReport:
    """Result of the gate, against the float32 file.

    Attributes:
        alone_min: lowest cosine, each text in a call of its own.
        alone_p1: cosine that all but one text in a hundred reach, in calls of their own.
        mixed_min: lowest cosine in full batches of texts of other lengths.
        mixed_p1: cosine that all but one in a hundred reach there.
        company_min: lowest cosine between the same text's vectors alone and in a batch.
        recall_kept: mean share of each text's ten nearest by float32 (exact search among these texts) that are among
            its ten nearest by this precision; of fewer texts, of their half.
        text_count: how many texts.
        seconds: how long it took.
    """

    alone_min: float
    alone_p1: float
    mixed_min: float
    mixed_p1: float
    company_min: float
    recall_kept: float
    text_count: int
    seconds: float

    @property
    def worst_cosine(self) -> float:
        """Lowest cosine to float32, alone or mixed."""
        return min(self.alone_min, self.mixed_min)


@dataclass(frozen=True)
class Serving:
    """Batching of texts for the gate.

    Attributes:
        buckets: the padded lengths in tokens, ascending, the last the encoder's longest.
        max_batch_size: rows in the largest batch.
        pad_token_id: fills short rows.
    """

    buckets: Sequence[int]
    max_batch_size: int
    pad_token_id: int


def check_precision(
    name: str, float32_file: Path, file: Path, texts: Sequence[TokenizedText], serving: Serving
) -> PrecisionReport:
    """Measures the file and holds it to the limits of its precision. Blocking, on every core.

    Args:
        name: of the precision.
        float32_file: the file that passed the parity gate.
        file: what was made of it.
        texts: at least two; none that it was calibrated with, where there are enough.
        serving: buckets and batches as in service.

    Raises:
        ParityFailed: a limit is missed, a vector isn't finite and of unit length, or the file can't be run.
    """
    report = measure_precision(float32_file, file, texts, serving)
    limits = LIMITS[name]
    for found, limit, what in (
        (report.company_min, COMPANY_LIMIT, "the same text's vectors alone and in a batch have the cosine"),
        (report.worst_cosine, limits.lowest_cosine, "the lowest cosine to float32 is"),
        (min(report.alone_p1, report.mixed_p1), limits.low_cosine, "one text in a hundred has a cosine to float32 of"),
        (report.recall_kept, limits.recall, f"of the {DEPTH} nearest texts it keeps"),
    ):
        if not found >= limit:  # written so that NaN fails
            raise ParityFailed(
                f"{name}: {what} {found:.5f}, expected at least {limit}, over {report.text_count} texts; "
                "take float32, or other --calibration texts that are more like those that are served"
            )
    return report


def measure_precision(
    float32_file: Path, file: Path, texts: Sequence[TokenizedText], serving: Serving
) -> PrecisionReport:
    """Returns the figures of `check_precision`, whatever they are.

    Raises:
        ParityFailed: a vector isn't finite and of unit length, or the file can't be run.
    """
    started = time.monotonic()
    rows = [_query_like(text.ids) if place % _SHORT_SHARE == 1 else text.ids for place, text in enumerate(texts)]
    places = [[place] for place in range(len(rows))]
    exact = encode(float32_file, rows, places, serving)
    alone = encode(file, rows, places, serving)
    mixed = encode(file, rows, mixed_batches(len(rows), serving.max_batch_size), serving)
    to_alone, to_mixed = _cosines(exact, alone), _cosines(exact, mixed)
    return PrecisionReport(
        alone_min=float(to_alone.min()),
        alone_p1=float(np.quantile(to_alone, 0.01)),
        mixed_min=float(to_mixed.min()),
        mixed_p1=float(np.quantile(to_mixed, 0.01)),
        company_min=float(_cosines(alone, mixed).min()),
        recall_kept=recall_kept(exact, mixed),
        text_count=len(rows),
        seconds=time.monotonic() - started,
    )


def mixed_batches(count: int, size: int) -> list[list[int]]:
    """Returns places 0 to `count` in batches of `size`, in an order that has nothing to do with the lengths."""
    order = np.random.default_rng(0).permutation(count).tolist()
    return [order[start : start + size] for start in range(0, count, size)]


def encode(
    file: Path, rows: Sequence[NDArray[np.int64]], batches: Sequence[Sequence[int]], serving: Serving
) -> NDArray[np.float32]:
    """Returns float32[n, d] of rows of token ids, in these batches, each padded to its bucket.

    Raises:
        ParityFailed: a vector isn't finite and of unit length, or the file can't be run.
    """
    try:
        session = open_session(file)
        found = [_run(session, [rows[place] for place in batch], serving) for batch in batches]
    except Exception as error:  # ONNX Runtime's classes have no base of their own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ParityFailed(f"ONNX Runtime can't run {file.name}: {reason}") from error
    vectors = np.empty((len(rows), found[0].shape[1]), dtype=np.float32)
    for batch, answer in zip(batches, found, strict=True):
        vectors[list(batch)] = answer
    off = float(np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1).max())
    if not off <= _NORM_LIMIT:
        raise ParityFailed(f"a vector's length is off 1 by {off:.2e}; expected {_NORM_LIMIT:.0e} at most")
    return vectors


def recall_kept(exact: NDArray[np.float32], vectors: NDArray[np.float32]) -> float:
    """Returns the mean share of each row's ten nearest others in `exact` that are its nearest in `vectors` too.

    Of fewer than twenty rows, the nearest half.
    """
    depth = max(1, min(DEPTH, len(exact) // 2))
    exactly, nearly = (_nearest_others(table, depth).tolist() for table in (exact, vectors))
    shared = [len(set(first) & set(second)) for first, second in zip(exactly, nearly, strict=True)]
    return float(np.mean(shared)) / depth


def _run(session: Any, rows: Sequence[NDArray[np.int64]], serving: Serving) -> NDArray[np.float32]:  # noqa: ANN401
    longest = max(len(row) for row in rows)
    width = next(bucket for bucket in serving.buckets if bucket >= longest)
    arrays = pad(list(rows), width, serving.pad_token_id)
    (vectors,) = session.run([OUTPUT_NAME], dict(zip(INPUT_NAMES, arrays, strict=True)))
    return np.asarray(vectors)


def _nearest_others(vectors: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -np.inf)
    return np.argsort(-similarities, axis=1, kind="stable")[:, :depth]


def _cosines(first: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    products = np.einsum("nd,nd->n", first.astype(np.float64), other.astype(np.float64))
    return np.asarray(products / np.linalg.norm(first, axis=1) / np.linalg.norm(other, axis=1))


def _query_like(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the text cut to a query's length; its last token, which may be a special one, stays last."""
    return ids if len(ids) <= _QUERY_TOKENS else np.concatenate([ids[: _QUERY_TOKENS - 1], ids[-1:]])
