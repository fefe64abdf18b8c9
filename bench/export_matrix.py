"""Every encoder family in every precision: gates, size, speed, and whether Triton retrieves in torch's order.

    python -m bench.export_matrix [--families A,B] [--out docs/export-matrix.md]

MiniLM is the real one. The others have random weights in MiniLM's size (384 wide, 6 layers): their cosines say that the
numbers are carried over, not that anything is understood, and their speeds are those of such a network.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from bench.encoder_speed import compare_speed, file_encode
from domain.errors import ShortlistError
from export.encoder import PreparedEncoder, prepare_encoder
from export.encoder_source import EncoderSource, resolve_encoder
from export.families import FAMILIES
from pipeline.model_repository import install_model
from pipeline.tokenize import TextTokenizer, pad
from pipeline.triton_config import encoder_config
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton, EmbeddedTritonSettings
from tests.small_families import Layout, Size, sentence_encoder
from training.encoder_folder import load_encoder

REAL = "all-MiniLM-L6-v2"
_ROOT = Path(__file__).resolve().parent.parent
_SIZE = Size(width=384, inner=1536, layers=6, heads=12, positions=128, spread=0.06, noise=0.02)
_POOLINGS = {"gpt2": "lasttoken", "xlm-roberta": "cls", "ernie": "cls"}
_MAX_BATCH_SIZE = 32
_DEPTH = 10
_SAME = 1e-5  # two items nearer to each other than this count as equal
_ROUNDS = 5


@dataclass(frozen=True)
class Cell:
    """One encoder in one precision.

    Attributes:
        name: the encoder.
        precision: of its file.
        pooling: of its tokens.
        cosine: the lowest to torch over lengths, batches and paddings.
        difference: the largest between components of a text's vector in two batches.
        size_mb: of the file.
        export_s: that the export took, without the gate.
        rate: texts a second, short texts, one thread.
        ratio: of its rate to the family's float32, median of interleaved rounds.
        in_order: queries whose nearest ten, through Triton, are in torch's order.
        queries: how many were asked.
        refused: why the gate refused it; empty where it did not.
    """

    name: str
    precision: str
    pooling: str
    cosine: float = float("nan")
    difference: float = float("nan")
    size_mb: float = float("nan")
    export_s: float = float("nan")
    rate: float = float("nan")
    ratio: float = float("nan")
    in_order: int = 0
    queries: int = 0
    refused: str = ""

    def line(self) -> str:
        """The cell as a line of a Markdown table."""
        if self.refused:
            return f"| {self.name} | {self.precision} | {self.pooling} | refused: {self.refused} ||||||"
        return (
            f"| {self.name} | {self.precision} | {self.pooling} | {self.cosine:.7f} | {self.difference:.1e} | "
            f"{self.size_mb:.1f} | {self.export_s:.1f} | {self.rate:.0f} ({self.ratio:.2f} x) | "
            f"{self.in_order} of {self.queries} |"
        )


HEAD = """\
| encoder | precision | pooling | worst cosine | batch difference | MB | export, s | texts/s (ratio) | torch's order |
|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Subject:
    """An encoder, and torch's own answer."""

    name: str
    source: EncoderSource
    oracle: SentenceTransformer


@dataclass(frozen=True)
class Texts:
    """What is encoded: items are searched, queries ask, and short ones are timed."""

    items: tuple[str, ...]
    queries: tuple[str, ...]


def main() -> int:
    """Measures and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", default=",".join((REAL, *FAMILIES)), help="of these alone (%(default)s)")
    parser.add_argument("--out", type=Path, default=_ROOT / "docs/export-matrix.md")
    parser.add_argument("--cache", type=Path, default=_ROOT / ".cache/export-matrix")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        cells = asyncio.run(_measure(args.families.split(","), Path(scratch), args.cache))
    table = HEAD + "\n".join(cell.line() for cell in cells) + "\n"
    sys.stdout.write(table)
    page = args.out.read_text(encoding="utf-8") if args.out.is_file() else "# Families and precisions\n\n" + HEAD
    before = page.split(HEAD, maxsplit=1)[0]
    args.out.write_text(before + table, encoding="utf-8")
    return (
        0 if all(cell.refused or cell.in_order == cell.queries for cell in cells if cell.precision == "float32") else 1
    )


async def _measure(names: Sequence[str], scratch: Path, cache: Path) -> list[Cell]:
    repository = scratch / "models"
    repository.mkdir()

    async def nothing() -> None:
        pass

    settings = EmbeddedTritonSettings(_ROOT / ".venv-triton", repository, scratch / "state", scratch / "triton.log")
    cells: list[Cell] = []
    async with EmbeddedTriton(settings, nothing) as triton, TritonClient(triton.grpc_address) as client:
        for name in names:
            subject, texts = _subject(name, scratch), _texts(real=name == REAL)
            made = dict(_prepared(subject, texts, cache, cells))
            rates = compare_speed(
                {precision: file_encode(subject.source, one.onnx.path) for precision, one in made.items()},
                texts.queries,
                _ROUNDS,
            )
            for precision, prepared in made.items():
                found = await _through_triton(client, repository, subject.source, prepared, texts)
                in_order = _in_order(subject.oracle, texts, found)
                speed, onnx = rates[precision], prepared.onnx
                cell = Cell(
                    name, precision, subject.source.pooling, prepared.parity.worst_cosine,
                    prepared.parity.worst_difference, onnx.size_bytes / 1e6, onnx.seconds, speed.rate, speed.ratio,
                    in_order, len(texts.queries),
                )  # fmt: skip
                cells.append(cell)
                sys.stdout.write(cell.line() + "\n")
                sys.stdout.flush()
    return cells


def _subject(name: str, scratch: Path) -> Subject:
    if name == REAL:
        source = resolve_encoder(None)
        return Subject(name, source, load_encoder(source.root))
    layout = Layout(name, _POOLINGS.get(name, "mean"), size=_SIZE)
    oracle = sentence_encoder(scratch / name / "transformer", layout)
    oracle.save(str(scratch / name / "encoder"), create_model_card=False)
    return Subject(f"{FAMILIES[name].title}, random", resolve_encoder(str(scratch / name / "encoder")), oracle)


def _texts(*, real: bool) -> Texts:
    sample = [json.loads(line) for line in (_ROOT / "sample/items.jsonl").read_text(encoding="utf-8").splitlines()]
    queries = tuple((_ROOT / "bench/queries.txt").read_text(encoding="utf-8").splitlines())
    if real:
        return Texts(tuple(f"{item['title']}. {item.get('text', '')}" for item in sample), queries)
    # Words that the small vocabularies have, as many as in the real texts.
    rng = np.random.default_rng(7)

    def told(count: int) -> str:
        return " ".join(f"word{word}" for word in rng.integers(0, 60, count))

    return Texts(tuple(told(5 + row % 20) for row in range(len(sample))), tuple(told(len(q.split())) for q in queries))


def _prepared(subject: Subject, texts: Texts, cache: Path, cells: list[Cell]) -> Iterator[tuple[str, PreparedEncoder]]:
    for precision in ("float32",):
        try:
            yield precision, prepare_encoder(subject.source, cache, max_batch_size=_MAX_BATCH_SIZE, on_step=_say)
        except ShortlistError as error:
            cells.append(Cell(subject.name, precision, subject.source.pooling, refused=str(error)))


def _say(step: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {step}\n")


async def _through_triton(
    client: TritonClient, repository: Path, source: EncoderSource, prepared: PreparedEncoder, texts: Texts
) -> tuple[np.ndarray, np.ndarray]:
    """Returns Triton's vectors of the items, float32[n, d], in batches, and of the queries, one by one."""
    config = encoder_config(source.max_tokens, _MAX_BATCH_SIZE, warm_up=False)
    version = install_model(repository, "encoder", prepared.onnx.path, prepared.onnx.sha256, config)
    await client.load("encoder", config, [version], 120.0)
    tokenizer = TextTokenizer(source.tokenizer_file, source.max_tokens)

    async def encode(some: Sequence[str]) -> np.ndarray:
        rows = [one.ids for one in tokenizer.tokenize(some)]
        arrays = pad(rows, max(len(row) for row in rows), source.pad_token_id)
        return await client.encode(*arrays, version=version, timeout_s=60.0)

    starts = range(0, len(texts.items), _MAX_BATCH_SIZE)
    items = [await encode(texts.items[start : start + _MAX_BATCH_SIZE]) for start in starts]
    queries = [await encode([query]) for query in texts.queries]
    return np.concatenate(items), np.concatenate(queries)


def _in_order(oracle: SentenceTransformer, texts: Texts, found: tuple[np.ndarray, np.ndarray]) -> int:
    """Counts the queries whose nearest ten have torch's order; items that torch holds for equal may change places."""
    items, queries = (
        np.asarray(oracle.encode(list(some), normalize_embeddings=True, show_progress_bar=False))
        for some in (texts.items, texts.queries)
    )
    count = 0
    for truth, scores in zip(queries @ items.T, found[1] @ found[0].T, strict=True):
        nearest = np.argsort(-scores, kind="stable")[:_DEPTH]
        count += bool(np.abs(truth[nearest] - np.sort(truth)[::-1][:_DEPTH]).max() <= _SAME)
    return count


if __name__ == "__main__":
    sys.exit(main())
