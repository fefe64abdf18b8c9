"""Speed of encoders side by side: the same texts, one thread, interleaved rounds."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.text.tokenize import TextTokenizer
from domain.progress import LineProgress
from export.encoder.source import EncoderSource
from export.onnx_session import embed, open_session
from export.prepare_encoder import prepare_encoder

Encode = Callable[[Sequence[str]], np.ndarray]

_MAX_BATCH_SIZE = 32


@dataclass(frozen=True)
class Speed:
    """Texts a second of one encoder on some texts.

    Attributes:
        rate: median over the rounds.
        ratio: median over the rounds of its rate over the first encoder's in the same round.
        lowest: of these ratios.
        highest: of these ratios.
    """

    rate: float
    ratio: float
    lowest: float
    highest: float


def onnx_encode(source: EncoderSource, cache: Path, report: Callable[[str], None]) -> Encode:
    """Returns the encoder as ONNX Runtime runs it on one thread: text in, batches of like lengths, vectors out."""
    return file_encode(
        source, prepare_encoder(source, cache, max_batch_size=_MAX_BATCH_SIZE, progress=LineProgress(report)).onnx.path
    )


def file_encode(source: EncoderSource, file: Path) -> Encode:
    """Returns an encoder's ONNX file as ONNX Runtime runs it on one thread."""
    session, tokenizer = open_session(file), TextTokenizer(source.tokenizer_file, source.max_tokens)

    def encode(texts: Sequence[str]) -> np.ndarray:
        return embed(session, tokenizer.tokenize(texts), source.pad_token_id, _MAX_BATCH_SIZE, threads=1)

    return encode


def compare_speed(encoders: Mapping[str, Encode], texts: Sequence[str], rounds: int) -> dict[str, Speed]:
    """Times every encoder in every round; the first one is the reference of the others.

    A fast encoder repeats the texts, so that no round is too short for the clock.
    """
    rates: dict[str, list[float]] = {name: [] for name in encoders}
    repeats = {name: _repeats(encode, texts) for name, encode in encoders.items()}
    for _ in range(rounds):
        for name, encode in encoders.items():
            began = time.perf_counter()
            for _ in range(repeats[name]):
                encode(texts)
            rates[name].append(repeats[name] * len(texts) / (time.perf_counter() - began))
    first = np.asarray(next(iter(rates.values())))
    speeds = {}
    for name, measured in rates.items():
        ratios = np.asarray(measured) / first
        speeds[name] = Speed(
            float(np.median(measured)), float(np.median(ratios)), float(ratios.min()), float(ratios.max())
        )
    return speeds


def _repeats(encode: Encode, texts: Sequence[str], least_s: float = 0.1) -> int:
    encode(texts)  # warm
    began = time.perf_counter()
    encode(texts)
    return max(1, round(least_s / (time.perf_counter() - began)))
