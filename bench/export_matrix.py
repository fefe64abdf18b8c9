"""Matrix of encoder families and precisions: gates, size, speed, and the order of retrieval in Triton and torch.

    python -m bench.export_matrix [--families A,B] [--out docs/export-matrix.md]

MiniLM is the trained one. The others have random weights in MiniLM's size (384 wide, 6 layers): their cosines test the
conversion, not the quality of the vectors, and their speeds are those of a network of this size.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from bench.encoder_speed import Speed, compare_speed, file_encode
from core.text.tokenize import TextTokenizer, pad
from core.triton.model_config import ENCODER_OUTPUT, encoder_config
from core.triton.model_repository import install_model
from domain.errors import ShortlistError
from domain.manifest import FLOAT32, PRECISIONS
from domain.progress import LineProgress
from export.encoder.families import FAMILIES
from export.encoder.source import EncoderSource, resolve_encoder
from export.precision.calibration import Precision
from export.prepare_encoder import PreparedEncoder, prepare_encoder
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton, EmbeddedTritonSettings
from tests.support.small_families import Layout, Size, sentence_encoder
from training.encoder.folder import load_encoder

REAL = "all-MiniLM-L6-v2"
_ROOT = Path(__file__).resolve().parent.parent
_SIZE = Size(width=384, inner=1536, layers=6, heads=12, positions=128, spread=0.06, noise=0.02)
_POOLINGS = {"gpt2": "lasttoken", "xlm-roberta": "cls", "ernie": "cls"}
_MAX_BATCH_SIZE = 32
_DEPTH = 10
_SAME = 1e-5  # two items nearer to each other than this count as equal
_ROUNDS = 5


@dataclass(frozen=True)
class Retrieved:
    """Retrieval through Triton compared with torch.

    Attributes:
        difference: the largest between components of an item's vector alone and in a batch of other lengths.
        recall: mean share of torch's nearest ten that are found.
        in_order: queries whose nearest ten are in torch's order.
        queries: number of queries.
    """

    difference: float
    recall: float
    in_order: int
    queries: int


@dataclass(frozen=True)
class Cell:
    """One encoder in one precision.

    Attributes:
        name: the encoder.
        precision: of its file.
        pooling: of its tokens.
        prepared: the file, and what the gate measured.
        speed: on short texts, one thread, beside the family's float32.
        retrieved: through Triton.
    """

    name: str
    precision: str
    pooling: str
    prepared: PreparedEncoder
    speed: Speed
    retrieved: Retrieved

    def line(self) -> str:
        """Returns the cell as a line of a Markdown table."""
        onnx, speed, retrieved = self.prepared.onnx, self.speed, self.retrieved
        values = (
            f"{self.prepared.worst_cosine:.7f}",
            f"{retrieved.difference:.0e}",
            f"{onnx.size_bytes / 1e6:.1f}",
            f"{onnx.seconds:.0f}",
            f"{speed.rate:.0f}",
            f"{speed.ratio:.2f} ({speed.lowest:.2f}-{speed.highest:.2f})",
            f"{retrieved.recall:.3f}",
            f"{retrieved.in_order} of {retrieved.queries}",
        )
        return f"| {self.name} | {self.precision} | {self.pooling} | {' | '.join(values)} |"


@dataclass(frozen=True)
class Refusal:
    """A refusal of an encoder in a precision."""

    name: str
    precision: str
    pooling: str
    reason: str

    def line(self) -> str:
        """Returns the refusal as a line of the same table."""
        return f"| {self.name} | {self.precision} | {self.pooling} | refused: {self.reason} | | | | | | | |"


HEAD = """\
| encoder | precision | pooling | worst cosine | batch | MB | made in, s | texts/s | ratio | recall@10 | order |
|---|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Subject:
    """An encoder with its torch model as the reference."""

    name: str
    source: EncoderSource
    oracle: SentenceTransformer


@dataclass(frozen=True)
class Texts:
    """Texts of items and queries; the queries are also timed."""

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
    write_table(cells, args.out)
    return 0 if all(_holds(cell) for cell in cells if cell.precision == FLOAT32) else 1


def write_table(cells: Sequence[Cell | Refusal], page: Path) -> None:
    """Replaces the table at the end of a page; the text before it stays."""
    page_text = page.read_text(encoding="utf-8") if page.is_file() else "# Families and precisions\n\n"
    table = "\n".join(cell.line() for cell in cells) + "\n"
    page.write_text(page_text.split(HEAD, maxsplit=1)[0] + HEAD + table, encoding="utf-8")


def _holds(cell: Cell | Refusal) -> bool:
    return isinstance(cell, Cell) and cell.retrieved.in_order == cell.retrieved.queries


async def _measure(names: Sequence[str], scratch: Path, cache: Path) -> list[Cell | Refusal]:
    repository = scratch / "models"
    repository.mkdir()

    async def nothing() -> None:
        pass

    settings = EmbeddedTritonSettings(_ROOT / ".venv-triton", repository, scratch / "state", scratch / "triton.log")
    cells: list[Cell | Refusal] = []
    async with EmbeddedTriton(settings, nothing) as triton, TritonClient(triton.grpc_address) as client:
        for name in names:
            subject, texts = _subject(name, scratch), _texts(real=name == REAL)
            made = _prepared(subject, texts, cache, cells)
            files = {precision: file_encode(subject.source, prepared.onnx.path) for precision, prepared in made.items()}
            speeds = compare_speed(files, texts.queries, _ROUNDS)
            truth = _vectors(subject.oracle, texts)
            for precision, prepared in made.items():
                served = await _Served.of(client, repository, subject.source, prepared)
                retrieved = await served.retrieve(texts, truth)
                cells.append(
                    Cell(subject.name, precision, subject.source.pooling, prepared, speeds[precision], retrieved)
                )
            sys.stdout.write("\n".join(cell.line() for cell in cells if cell.name == subject.name) + "\n")
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

    def random_words(count: int) -> str:
        return " ".join(f"word{word}" for word in rng.integers(0, 60, count))

    return Texts(
        tuple(random_words(5 + row % 20) for row in range(len(sample))),
        tuple(random_words(len(q.split())) for q in queries),
    )


def _prepared(subject: Subject, texts: Texts, cache: Path, cells: list[Cell | Refusal]) -> dict[str, PreparedEncoder]:
    made = {}
    for name in PRECISIONS:
        precision = Precision(name, texts.items)
        try:
            made[name] = prepare_encoder(
                subject.source,
                cache,
                max_batch_size=_MAX_BATCH_SIZE,
                progress=LineProgress(_print),
                precision=precision,
            )
        except ShortlistError as error:
            cells.append(Refusal(subject.name, name, subject.source.pooling, str(error)))
    return made


def _print(step: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {step}\n")


@dataclass(frozen=True)
class _Served:
    """A model version in Triton."""

    client: TritonClient
    version: int
    source: EncoderSource
    tokenizer: TextTokenizer

    @classmethod
    async def of(
        cls, client: TritonClient, repository: Path, source: EncoderSource, prepared: PreparedEncoder
    ) -> "_Served":
        config = encoder_config(source.max_tokens, _MAX_BATCH_SIZE, warm_up=False)
        version = install_model(repository, "encoder", prepared.onnx.path, prepared.onnx.sha256, config)
        await client.load("encoder", config, [version], 120.0)
        return cls(client, version, source, TextTokenizer(source.tokenizer_file, source.max_tokens))

    async def retrieve(self, texts: Texts, truth: tuple[np.ndarray, np.ndarray]) -> Retrieved:
        """Encodes items in batches and alone, queries alone; `truth` is torch's of both."""
        starts = range(0, len(texts.items), _MAX_BATCH_SIZE)
        items = np.concatenate([await self._encode(texts.items[at : at + _MAX_BATCH_SIZE]) for at in starts])
        alone = np.concatenate([await self._encode([item]) for item in texts.items])
        queries = np.concatenate([await self._encode([query]) for query in texts.queries])
        shares, in_order = [], 0
        for right, scores in zip(truth[1] @ truth[0].T, queries @ items.T, strict=True):
            nearest, wanted = (np.argsort(-values, kind="stable")[:_DEPTH] for values in (scores, right))
            shares.append(len(set(nearest) & set(wanted)) / _DEPTH)
            # Items that torch holds for equal may change places.
            in_order += bool(np.abs(right[nearest] - right[wanted]).max() <= _SAME)
        return Retrieved(float(np.abs(items - alone).max()), float(np.mean(shares)), in_order, len(texts.queries))

    async def _encode(self, texts: Sequence[str]) -> np.ndarray:
        token_ids = [tokenized.ids for tokenized in self.tokenizer.tokenize(texts)]
        input_ids, attention_mask = pad(token_ids, max(len(ids) for ids in token_ids), self.source.pad_token_id)
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        return await self.client.infer("encoder", self.version, inputs, output=ENCODER_OUTPUT, timeout_s=60.0)


def _vectors(oracle: SentenceTransformer, texts: Texts) -> tuple[np.ndarray, np.ndarray]:
    """Returns torch's vectors of items and queries, float32[n, d] each."""
    items, queries = (
        np.asarray(oracle.encode(list(some), normalize_embeddings=True, show_progress_bar=False))
        for some in (texts.items, texts.queries)
    )
    return items, queries


if __name__ == "__main__":
    sys.exit(main())
