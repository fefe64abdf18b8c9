"""Text to vector by table look-up: a student of the encoder that costs microseconds and needs no Triton.

A text's vector is normalise(sum_t w_t e_t / (sum_t w_t)^p + c) over its tokens t: e_t from a table, w_t a weight, c the
same for every text. p below 1 lets long texts move further from c than short ones do, as the teacher's vectors do. The
vectors lie in the teacher's space, so they search the teacher's index.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.text.tokenize import TextTokenizer
from core.vectors import unit
from domain.errors import EncoderNotUsable, ReleaseRejected

TABLE_FILE = "static.npy"
WEIGHTS_FILE = "static_weights.npy"
CONSTANT_FILE = "static_constant.npy"
SETTINGS_FILE = "student.json"
TOKENIZER_FILE = "tokenizer.json"
FORMAT = 1

_TEXTS_AT_ONCE = 512


@dataclass(frozen=True)
class StaticTable:
    """Trained table of a static student.

    Attributes:
        vectors: float16 or float32[v, d], w_t e_t by token id: the weights are multiplied in.
        weights: float32[v], w_t >= 0; 0 where a token says nothing: special tokens and the unknown one.
        constant: float32[d], c.
        length_power: p, 0 to 1.
    """

    vectors: np.ndarray
    weights: np.ndarray
    constant: np.ndarray
    length_power: float

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return int(self.vectors.shape[1])

    def embed(self, token_ids: Sequence[np.ndarray]) -> np.ndarray:
        """Returns float32[n, d] for int64[L_i] token ids each: unit vectors, or zeros where no token says anything.

        Special tokens may be among the ids. A row does not depend on the others.
        """
        out = np.zeros((len(token_ids), self.dimension), np.float32)
        for start in range(0, len(token_ids), _TEXTS_AT_ONCE):
            rows = token_ids[start : start + _TEXTS_AT_ONCE]
            telling = [ids[self.weights[ids] > 0] for ids in rows]
            places = np.flatnonzero([len(ids) > 0 for ids in telling])
            if len(places):
                out[start + places] = self._embed_telling([telling[place] for place in places])
        return out

    def embed_all(self, token_ids: Sequence[np.ndarray]) -> np.ndarray:
        """Returns float32[n, d], unit vectors as `embed`; that of the constant where no token says anything."""
        vectors = self.embed(token_ids)
        silent = ~vectors.any(axis=1)
        if silent.any():
            vectors[silent] = unit(self.constant)
        return vectors

    def _embed_telling(self, token_ids: Sequence[np.ndarray]) -> np.ndarray:
        flat = np.concatenate(token_ids)
        starts = np.cumsum([0, *(len(ids) for ids in token_ids[:-1])])
        sums = np.add.reduceat(self.vectors[flat], starts, axis=0, dtype=np.float32)
        mass = np.add.reduceat(self.weights[flat], starts, dtype=np.float32)
        vectors = sums / (mass**self.length_power)[:, None] + self.constant
        # Tokens that cancel the constant exactly say nothing either.
        return np.asarray(unit(vectors, least_norm=1e-6), dtype=np.float32)


class StaticEncoder:
    """Static student with its tokenizer; any thread may use it."""

    def __init__(self, table: StaticTable, tokenizer: TextTokenizer) -> None:
        self.table = table
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path) -> "StaticEncoder":
        """Reads `student/` of a release or of a model folder.

        Raises:
            ReleaseRejected: a file is missing, unreadable, made by a newer program, or doesn't fit the others.
        """
        settings = _read_settings(folder / SETTINGS_FILE)
        try:
            table = StaticTable(
                vectors=np.load(folder / TABLE_FILE, allow_pickle=False),
                weights=np.load(folder / WEIGHTS_FILE, allow_pickle=False),
                constant=np.load(folder / CONSTANT_FILE, allow_pickle=False),
                length_power=float(settings["length_power"]),
            )
            max_tokens = int(settings["max_tokens"])
            _check(table, int(settings["dimension"]))
            tokenizer = TextTokenizer(folder / TOKENIZER_FILE, max_tokens)
        except (OSError, ValueError, KeyError, TypeError, EncoderNotUsable) as error:
            raise ReleaseRejected(f"{folder} holds no static student that can be used: {error}; train it again") from (
                error
            )
        _check_vocabulary(folder / TOKENIZER_FILE, len(table.vectors))
        return cls(table, tokenizer)

    @property
    def tokenizer(self) -> TextTokenizer:
        """Text to the table's token ids."""
        return self._tokenizer

    @property
    def dimension(self) -> int:
        """Width of the vectors: the teacher's."""
        return self.table.dimension

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[n, d]: unit vectors, zeros for a text that is empty or has no known token."""
        return self.table.embed([tokenized.ids for tokenized in self._tokenizer.tokenize(texts)])

    def vector(self, text: str) -> np.ndarray | None:
        """Returns float32[d], unit; None where the text is empty or has no known token."""
        row = self.encode([text])[0]
        return row if row.any() else None


def write_static_student(folder: Path, table: StaticTable, settings: dict[str, Any]) -> None:
    """Writes table and settings; the tokenizer file is the caller's to copy.

    Args:
        folder: made if missing.
        table: what was learned.
        settings: written beside format, dimension and length_power; `max_tokens` is expected in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / TABLE_FILE, table.vectors)
    np.save(folder / WEIGHTS_FILE, table.weights)
    np.save(folder / CONSTANT_FILE, table.constant)
    written = {"format": FORMAT, "dimension": table.dimension, "length_power": table.length_power, **settings}
    (folder / SETTINGS_FILE).write_text(json.dumps(written, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReleaseRejected(f"{path} can't be read: {error}; train the student again") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("format"), int):
        raise ReleaseRejected(f"{path} is no description of a static student; train it again")
    if settings["format"] > FORMAT:
        raise ReleaseRejected(
            f"{path} has format {settings['format']}, this program reads up to {FORMAT}; update the program"
        )
    return settings


def _check(table: StaticTable, dimension: int) -> None:
    shape = table.vectors.shape
    if len(shape) != 2 or shape[1] != dimension or table.vectors.dtype not in (np.float16, np.float32):
        raise ValueError(
            f"{TABLE_FILE} is {table.vectors.dtype}{list(shape)}, expected float16 or float32[v, {dimension}]"
        )
    if table.weights.shape != (shape[0],) or table.constant.shape != (dimension,):
        raise ValueError(f"{WEIGHTS_FILE} or {CONSTANT_FILE} doesn't fit {TABLE_FILE}")
    if not all(np.isfinite(values).all() for values in (table.vectors, table.weights, table.constant)):
        raise ValueError("a value is not finite")
    if (table.weights < 0).any() or not 0 <= table.length_power <= 1:
        raise ValueError("a weight is below 0, or length_power is not within 0 to 1")


def _check_vocabulary(path: Path, row_count: int) -> None:
    vocabulary = json.loads(path.read_text(encoding="utf-8"))
    model = vocabulary["model"]["vocab"]
    ids = list(model.values()) if isinstance(model, dict) else range(len(model))
    largest = max([*ids, *(token["id"] for token in vocabulary.get("added_tokens", []))], default=-1)
    if largest >= row_count:
        raise ReleaseRejected(
            f"{path} has token id {largest}, but {TABLE_FILE} has {row_count} rows; they don't belong together"
        )
