"""Encoding in ONNX Runtime, in process, by the very file that Triton serves."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

from core.text.tokenize import TokenizedText, pad
from core.vectors import check_unit
from domain.errors import ReleaseRejected

# Padded tokens in one call: enough to keep the cores busy, small enough to stay in the cache. Measured on 2 cores with
# 70-token texts: 512 to 2048 are alike (108-121 items/s), 4096 is a tenth slower.
_TOKENS_PER_CALL = 1_024


def open_session(onnx_file: Path) -> onnxruntime.InferenceSession:
    """Opens an exported encoder on the CPU, with one thread a call.

    More threads in one call change the last bits of some batches (measured: two rows and three threads, 8e-8), fewer
    never do; so cores are kept busy by several calls at once, and the same texts give the same bytes on any number.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])


def embed(
    session: onnxruntime.InferenceSession,
    texts: Sequence[TokenizedText],
    pad_token_id: int,
    max_batch_size: int,
    threads: int | None = None,
) -> np.ndarray:
    """Encodes tokenised texts, sorted by length so that little is padded.

    What is encoded together depends on the texts alone, so the same texts give the same bytes on any number of threads.

    Args:
        session: from `open_session`.
        texts: n tokenised texts.
        pad_token_id: fills short rows.
        max_batch_size: most rows in one call.
        threads: calls at once; None for one a core.

    Returns:
        float32[n, d], unit, in the order of `texts`.

    Raises:
        ReleaseRejected: the encoder answers vectors that are not finite or not of unit length.
    """
    dimension = session.get_outputs()[0].shape[-1]
    vectors = np.empty((len(texts), dimension), dtype=np.float32)

    def encode(places: Sequence[int]) -> None:
        rows = [texts[place].ids for place in places]
        input_ids, attention_mask = pad(rows, len(rows[0]), pad_token_id)
        feeds = {"input_ids": input_ids, "attention_mask": attention_mask}
        vectors[places] = session.run(["sentence_embedding"], feeds)[0]

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for _ in pool.map(encode, _batches(texts, max_batch_size)):
            pass
    try:
        check_unit(vectors)
    except ValueError as error:
        raise ReleaseRejected(f"the encoder's answers cannot be used: {error}") from error
    return vectors


def _batches(texts: Sequence[TokenizedText], max_batch_size: int) -> Iterator[Sequence[int]]:
    """Yields the places of the texts that are encoded together, the longest texts first."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place].ids), reverse=True)
    start = 0
    while start < len(order):
        length = len(texts[order[start]].ids)
        places = order[start : start + max(1, min(max_batch_size, _TOKENS_PER_CALL // length))]
        yield places
        start += len(places)
