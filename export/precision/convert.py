"""Conversion of a gated float32 file to another precision, gated again."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from core.text.tokenize import TextTokenizer
from domain.errors import StorageError
from domain.manifest import INT8
from domain.progress import Progress
from export.encoder.onnx import OnnxExport
from export.encoder.source import EncoderSource
from export.precision.calibration import TEXT_COUNT, Precision, spread
from export.precision.float16 import to_float16
from export.precision.gate import PrecisionReport, Serving, check_precision
from export.precision.int8 import to_int8

# Raise it when files of another precision are made or checked differently: those made before are then made again.
RECIPE = 3


class ExactEncoder(Protocol):
    """Float32 file that another precision is made from."""

    @property
    def source(self) -> EncoderSource:
        """Encoder that the file was exported from."""

    @property
    def onnx(self) -> OnnxExport:
        """Exported file."""


def make_precision(
    exact: ExactEncoder, precision: Precision, out: Path, serving: Serving, progress: Progress
) -> tuple[OnnxExport, PrecisionReport]:
    """Writes the encoder in this precision and holds it to the gate. Blocking, uses every core.

    Every other text calibrates and the rest are measured, so that no text is judged that had a part in the file; two or
    three texts do both.

    Args:
        exact: the float32 file.
        precision: another than float32, checked.
        out: the file to write.
        serving: buckets and batches as in service.
        progress: hears what begins.

    Raises:
        EncoderNotUsable: the graph can't be had in this precision.
        ParityFailed: it fails the gate.
        StorageError: `out` can't be written.
    """
    started = time.monotonic()
    source = exact.source
    texts = tuple(dict.fromkeys(text for text in precision.texts if text.strip()))
    apart = len(texts) >= 4
    calibrated, measured = (texts[0::2], texts[1::2]) if apart else (texts, texts)
    tokenizer = TextTokenizer(source.tokenizer_file, source.max_tokens)
    progress.step(f"turning {source.name} into {precision.name}")
    try:
        if precision.name == INT8:
            tokens = tokenizer.tokenize(spread(calibrated, TEXT_COUNT), source.passage_prompt)
            to_int8(exact.onnx.path, [text.ids for text in tokens], out)
        else:
            to_float16(exact.onnx.path, out)
        payload = out.read_bytes()
    except OSError as error:
        raise StorageError(
            f"{out} can't be written: {error.strerror}; free some space, or give another folder"
        ) from error
    seconds = time.monotonic() - started
    made = replace(
        exact.onnx,
        path=out,
        sha256=hashlib.sha256(payload).hexdigest(),
        size_bytes=len(payload),
        seconds=seconds,
    )
    measured_tokens = tokenizer.tokenize(spread(measured, TEXT_COUNT), source.passage_prompt)
    progress.step(
        f"checking {precision.name} against float32 on {len(measured_tokens)} texts, alone and in mixed batches"
    )
    return made, check_precision(precision.name, exact.onnx.path, out, measured_tokens, serving)
