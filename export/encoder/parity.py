"""Parity gate: the ONNX file must compute what torch computes, over lengths, batch sizes and paddings."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from core.vectors import unit
from domain.errors import ParityFailed
from export.encoder.families import FAMILIES
from export.encoder.head_layers import head_oracle
from export.encoder.memory_budget import MemoryBudget
from export.encoder.onnx import INPUT_NAMES, OUTPUT_NAME, load_transformer
from export.encoder.source import EncoderSource

COSINE_LIMIT = 0.99999
DIFFERENCE_LIMIT = 1e-5
_NORM_LIMIT = 1e-5
_SMALL_BATCH_SIZE = 3
# Texts of each length. Larger batches hold each several times, which spares torch most of its work and shows whether a
# row depends on its place.
_ROW_COUNT = 8


@dataclass(frozen=True)
class ParityCase:
    """Result for rows of one length in one batch.

    Attributes:
        length: of these rows, in tokens.
        padded_length: of the batch, in tokens; above `length` the rows are padded.
        batch_size: rows in the batch; in a padded one of the largest size the others are of other lengths.
        cosine: the lowest between a row and torch.
        difference: the largest between a component of a row here and in any place or batch before.
    """

    length: int
    padded_length: int
    batch_size: int
    cosine: float
    difference: float

    def __str__(self) -> str:
        padding = f"padded to {self.padded_length}" if self.padded_length > self.length else "unpadded"
        return f"length {self.length} {padding}, batch of {self.batch_size}"


@dataclass(frozen=True)
class ParityReport:
    """Result of the parity gate.

    Attributes:
        worst_cosine: the lowest between a row of the ONNX file and torch, over all cases.
        worst_difference: the largest between components of the same row in two batches.
        cases: every case, in the order checked.
        seconds: how long it took.
        limits: what the memory budget left unchecked, in words; empty where everything was checked.
    """

    worst_cosine: float
    worst_difference: float
    cases: tuple[ParityCase, ...]
    seconds: float
    limits: str = ""


@dataclass(frozen=True)
class _Batch:
    width: int
    members: tuple[tuple[int, int], ...]  # length, number among the rows of that length


@dataclass(frozen=True)
class _Rows:
    """Rows of one length: ids int64[R,L], torch's vectors float32[R,d], what was seen so far float32[R,d]."""

    ids: NDArray[np.int64]
    oracle: NDArray[np.float32]
    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]


def check_parity(
    source: EncoderSource, onnx_file: Path, *, buckets: Sequence[int], max_batch_size: int
) -> ParityReport:
    """Compares the file with torch, and with itself between batches. Blocking, uses every core.

    The lengths are 1, 2, each bucket's edge with its neighbours, and the maximum; each in batches of 1, 3 and
    `max_batch_size`, unpadded and padded (the maximum can't be padded; it is the one that others are padded to). Torch
    computes every row once, without padding and with its own attention, and is pooled outside the graph: it shares
    neither the mask nor the pooling with what was exported.

    Args:
        source: the trained encoder.
        onnx_file: what was exported from it.
        buckets: the padded lengths that are served, in tokens, ascending, the last `source.max_tokens`.
        max_batch_size: rows in the largest batch that is served.

    Raises:
        ParityFailed: a cosine is below 0.99999, a row changes by more than 1e-5 between batches, a vector isn't of unit
            length, or the file can't be run; names the case and by how much.
        EncoderNotUsable: the weights can't be read.
        ValueError: the buckets don't end at the maximum, or the batch size is below 1.
    """
    if not buckets or buckets[-1] != source.max_tokens or max_batch_size < 1:
        raise ValueError(f"buckets {buckets} must end at {source.max_tokens}, and {max_batch_size} be above 0")
    started = time.monotonic()
    session = _open(onnx_file)
    memory = MemoryBudget.of(source)
    widths = [width for width in buckets if memory.rows(width)]
    lengths = [length for length in _lengths(buckets) if memory.rows(length) and length <= max(widths, default=0)]
    if not lengths:
        raise ParityFailed(f"not even a text of {buckets[0]} tokens can be checked within {memory.words}; free memory")
    rows = _make_rows(source, lengths, memory)
    cases: list[ParityCase] = []
    for batch in _batches(lengths, widths, lambda width: min(max_batch_size, memory.rows(width))):
        cases += _check_batch(session, batch, rows, source.pad_token_id)
    return ParityReport(
        worst_cosine=min(case.cosine for case in cases),
        worst_difference=max(case.difference for case in cases),
        cases=tuple(cases),
        seconds=time.monotonic() - started,
        limits=memory.limits(buckets, max_batch_size),
    )


def _lengths(buckets: Sequence[int]) -> list[int]:
    edges = {edge + step for edge in buckets for step in (-1, 0, 1)}
    return sorted(length for length in edges | {1, 2} if 1 <= length <= buckets[-1])


def _batches(lengths: Sequence[int], buckets: Sequence[int], most_rows: Callable[[int], int]) -> Iterator[_Batch]:
    """Yields the batches; `most_rows` gives the largest batch of a width."""
    for length in lengths:
        sizes = sorted({1, min(_SMALL_BATCH_SIZE, most_rows(length)), most_rows(length)})
        for size in sizes:
            yield _Batch(length, tuple((length, place % _ROW_COUNT) for place in range(size)))
        for size in sizes[:-1]:
            for width in [bucket for bucket in buckets if bucket > length and most_rows(bucket) >= size][:1]:
                yield _Batch(width, tuple((length, place % _ROW_COUNT) for place in range(size)))
    # Large padded batches are the dear ones, so one holds many lengths, as batches in service do.
    for width in buckets:
        max_batch_size = most_rows(width)
        fitting = [length for length in lengths if length <= width]
        batch_count = -(-len(fitting) // max_batch_size)
        turns = itertools.cycle(fitting)
        members = [(next(turns), number // len(fitting) % _ROW_COUNT) for number in range(batch_count * max_batch_size)]
        for start in range(0, len(members), max_batch_size):
            yield _Batch(width, tuple(members[start : start + max_batch_size]))


def _make_rows(source: EncoderSource, lengths: Sequence[int], memory: MemoryBudget) -> dict[int, _Rows]:
    generator = np.random.default_rng(0)
    draw = _TokenDraw.of(source)
    model = load_transformer(source, attention=FAMILIES[source.family].oracle_attention)
    rows = {}
    for length in lengths:
        ids = np.stack([draw.row(generator, length, plain=number > 0) for number in range(_ROW_COUNT)])
        pooled = []
        step = max(1, memory.rows(length))
        for start in range(0, len(ids), step):
            with torch.inference_mode():
                states = model(input_ids=torch.from_numpy(ids[start : start + step])).last_hidden_state.numpy()
            pooled.append(_pooled(states.astype(np.float64), source.pooling))
        vectors = head_oracle(source.head, np.concatenate(pooled), ids)
        oracle = unit(vectors).astype(np.float32)
        rows[length] = _Rows(ids, oracle, np.full_like(oracle, np.inf), np.full_like(oracle, -np.inf))
    return rows


def _pooled(states: NDArray[np.float64], pooling: str) -> NDArray[np.float64]:
    """Pools unpadded rows float64[R,L,d] to float64[R,d]."""
    if pooling == "mean":
        return np.asarray(states.mean(axis=1))
    return states[:, 0] if pooling == "cls" else states[:, -1]


@dataclass(frozen=True)
class _TokenDraw:
    """Random texts of an exact length: ordinary tokens of the vocabulary between the real special ones."""

    ordinary: NDArray[np.int64]
    before: list[int]
    after: list[int]

    @classmethod
    def of(cls, source: EncoderSource) -> "_TokenDraw":
        tokenizer = Tokenizer.from_file(str(source.tokenizer_file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        vocabulary = set(tokenizer.get_vocab(with_added_tokens=False).values())
        ordinary = sorted(vocabulary - special - {source.pad_token_id})
        encoding = tokenizer.encode("a")
        flags = encoding.special_tokens_mask
        front = flags.index(0) if 0 in flags else len(flags)
        back = flags[::-1].index(0) if 0 in flags else 0
        return cls(np.asarray(ordinary), encoding.ids[:front], encoding.ids[len(flags) - back :])

    def row(self, generator: np.random.Generator, length: int, *, plain: bool) -> NDArray[np.int64]:
        """Returns int64[length]. Too short for a token of its own, it is all special, or all ordinary if `plain`."""
        inner = length - len(self.before) - len(self.after)
        if inner < 1:
            special = np.asarray([*self.before, *self.after][:length], dtype=np.int64)
            return generator.choice(self.ordinary, length) if plain or len(special) < length else special
        tokens = [*self.before, *generator.choice(self.ordinary, inner), *self.after]
        return np.asarray(tokens, dtype=np.int64)


def _check_batch(session: Any, batch: _Batch, rows: dict[int, _Rows], pad: int) -> list[ParityCase]:  # noqa: ANN401
    ids = np.full((len(batch.members), batch.width), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    for place, (length, number) in enumerate(batch.members):
        ids[place, :length] = rows[length].ids[number]
        mask[place, :length] = 1
    vectors = _run(session, ids, mask, dimension=rows[batch.members[0][0]].oracle.shape[1])
    cases = []
    for length in sorted({length for length, _ in batch.members}):
        places = [place for place, member in enumerate(batch.members) if member[0] == length]
        numbers = [batch.members[place][1] for place in places]
        case = _compare(vectors[places], rows[length], numbers, (length, batch.width, len(batch.members)))
        cases.append(case)
    return cases


def _compare(vectors: NDArray[np.float32], rows: _Rows, numbers: list[int], shape: tuple[int, int, int]) -> ParityCase:
    """Holds vectors float32[n,d] of these rows to every limit; `shape` is length, width, batch size."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    products = np.einsum("nd,nd->n", vectors.astype(np.float64), rows.oracle[numbers].astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = float((products / norms).min())
    # A number may occur twice, so not by plain indexing.
    np.minimum.at(rows.lowest, numbers, vectors)
    np.maximum.at(rows.highest, numbers, vectors)
    difference = float((rows.highest[numbers] - rows.lowest[numbers]).max())
    case = ParityCase(*shape, cosine=cosine, difference=difference)
    norm_error = float(np.abs(norms - 1.0).max())
    # Written so that NaN fails.
    if not case.cosine >= COSINE_LIMIT:
        raise ParityFailed(f"{case}: cosine to torch {case.cosine:.7f}; expected at least {COSINE_LIMIT}")
    if not case.difference <= DIFFERENCE_LIMIT:
        raise ParityFailed(
            f"{case}: the same text differs by {case.difference:.2e} between batches; "
            f"expected {DIFFERENCE_LIMIT:.0e} at most"
        )
    if not norm_error <= _NORM_LIMIT:
        raise ParityFailed(
            f"{case}: a vector's length is off 1 by {norm_error:.2e}; expected {_NORM_LIMIT:.0e} at most"
        )
    return case


def _open(onnx_file: Path) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes have no base of their own
        raise ParityFailed(f"ONNX Runtime can't load what was exported: {_first_line(error)}") from error


def _run(session: Any, ids: NDArray[np.int64], mask: NDArray[np.int64], *, dimension: int) -> NDArray[np.float32]:  # noqa: ANN401
    case = f"batch of {ids.shape[0]} rows, {ids.shape[1]} tokens"
    try:
        (vectors,) = session.run([OUTPUT_NAME], dict(zip(INPUT_NAMES, (ids, mask), strict=True)))
    except Exception as error:  # its classes have no base of their own
        raise ParityFailed(f"{case}: ONNX Runtime can't run it: {_first_line(error)}") from error
    expected = (len(ids), dimension)
    if vectors.dtype != np.float32 or vectors.shape != expected:
        raise ParityFailed(
            f"{case}: the answer is {vectors.dtype}{list(vectors.shape)}; expected float32{list(expected)}"
        )
    return np.asarray(vectors)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
