"""Distils an encoder into a table of token vectors: `core.text.static_encoder`, which encodes in microseconds.

The table starts with the teacher's vectors of single tokens (as in model2vec); a ridge regression on texts and their
fragments moves the tokens that occur in them; then gradient steps on the ranking of neighbours follow, as long as
held-out texts improve.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from core.text.static_encoder import TOKENIZER_FILE, StaticEncoder, StaticTable, write_static_student
from core.text.tokenize import TextTokenizer, copy_tokenizer
from domain.errors import EncoderNotUsable, StorageError
from domain.progress import Progress
from training.distillation.fragments import sample_texts
from training.distillation.static_fit import StaticStudentResult, StaticStudentSettings, StaticTrainingSet, fit_table
from training.distillation.teacher_vectors import Encode, teacher_vectors
from training.distillation.token_bags import make_bags

_MARKERS = ("##", "▁", "Ġ", "</w>")  # how vocabularies mark the insides or the starts of words


class StaticStudent:
    """A distilled table with its tokenizer and metrics."""

    def __init__(self, table: StaticTable, tokenizer_path: Path, max_tokens: int, result: StaticStudentResult) -> None:
        self.table = table
        self.result = result
        self._tokenizer_path = tokenizer_path
        self._max_tokens = max_tokens

    def encoder(self) -> StaticEncoder:
        """Returns the student as serving uses it."""
        return StaticEncoder(self.table, TextTokenizer(self._tokenizer_path, self._max_tokens))

    def save(self, folder: Path) -> None:
        """Writes `student/`; `StaticEncoder.load` reads it.

        Raises:
            StorageError: it can't be written.
        """
        settings = {"max_tokens": self._max_tokens, "metrics": dataclasses.asdict(self.result)}
        try:
            write_static_student(folder, self.table, json.loads(json.dumps(settings).replace("NaN", "null")))
            copy_tokenizer(self._tokenizer_path, folder / TOKENIZER_FILE)
        except OSError as error:
            raise StorageError(f"{folder} can't be written: {error.strerror}; free some space") from error


def train_static_student(  # noqa: PLR0913 - one caller
    teacher_encode: Encode,
    tokenizer_path: Path,
    texts: Sequence[str],
    settings: StaticStudentSettings | None = None,
    seed: int = 0,
    *,
    progress: Progress,
    cache: Path | None = None,
) -> StaticStudent:
    """Distils a teacher.

    Args:
        teacher_encode: texts to float32[n, d].
        tokenizer_path: tokenizer.json of the student: the teacher's, or another.
        texts: texts like those to be encoded; usually the items'.
        settings: None for the defaults.
        seed: of fragments, the held-out share and the order of steps.
        progress: hears of steps and metrics.
        cache: folder of the teacher's vectors, from which a killed run continues; None keeps none.

    Raises:
        EncoderNotUsable: the teacher or the tokenizer can't be used, or no text has a known token.
        StorageError: the cache can't be written.
    """
    settings = settings or StaticStudentSettings()
    tokenizer = TextTokenizer(tokenizer_path, settings.max_tokens)
    rng = np.random.default_rng(seed)
    sample = sample_texts(texts, settings.fragments_per_text, settings.most_texts, settings.held_out, seed)
    token_ids = [tokenized.ids for tokenized in tokenizer.tokenize(sample.texts)]
    weights = _weights(Tokenizer.from_file(str(tokenizer_path)), token_ids, ~sample.held_out, settings.rarity)
    targets = teacher_vectors(teacher_encode, sample.texts, cache, progress)
    bags = make_bags(token_ids, weights, settings.length_power)
    if not len(bags.tokens):
        raise EncoderNotUsable(f"no text has a token that {tokenizer_path} knows; expected texts in its language")
    data = StaticTrainingSet(bags, targets, sample.held_out, sample.whole_count)
    prior = _prior(teacher_encode, tokenizer_path, bags.tokens, weights, settings, cache, progress)
    weights[~prior.any(axis=1) & ~np.isin(np.arange(len(weights)), bags.tokens)] = 0  # neither encoded nor seen
    start = np.vstack([prior[bags.tokens], targets[~data.held_out].mean(axis=0)])
    table, result = fit_table(data, start, settings, rng, progress)
    vectors = prior
    vectors[bags.tokens] = table[:-1]
    finished = StaticTable(
        (vectors * weights[:, None]).astype(np.float16), weights, table[-1].astype(np.float32), settings.length_power
    )
    return StaticStudent(finished, tokenizer_path, settings.max_tokens, result)


def _weights(tokenizer: Tokenizer, token_ids: Sequence[np.ndarray], used: np.ndarray, rarity: float) -> np.ndarray:
    """float32[v], a / (a + share of the token), smoothed by a count of one; 0 for special and unknown tokens."""
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    counts = np.ones(max(vocabulary.values()) + 1)
    for ids, use in zip(token_ids, used, strict=True):
        if use:
            np.add.at(counts, ids, 1)
    silent = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    silent.add(str(getattr(tokenizer.model, "unk_token", None)))
    counts[[number for token, number in vocabulary.items() if token in silent]] = 0
    weights = np.where(counts > 0, rarity / (rarity + counts / counts.sum()), 0)
    return weights.astype(np.float32)


def _prior(  # noqa: PLR0913, PLR0917 - one caller
    encode: Encode,
    tokenizer_path: Path,
    seen: np.ndarray,
    weights: np.ndarray,
    settings: StaticStudentSettings,
    cache: Path | None,
    progress: Progress,
) -> np.ndarray:
    """float32[v, d]: the teacher's vector of each token's text, less their mean; zeros for tokens not encoded."""
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    rest = np.setdiff1d(np.flatnonzero(weights > 0), seen)
    encoded = np.concatenate([seen, rest])[: settings.most_prior_tokens]
    texts_of = {int(number): _token_text(tokenizer, int(number)) for number in encoded}
    distinct = sorted({text for text in texts_of.values() if text})
    vectors = teacher_vectors(encode, distinct, cache, progress) if distinct else encode(["a"])[:0]
    place = {text: number for number, text in enumerate(distinct)}
    known = [number for number, text in texts_of.items() if text]
    prior = np.zeros((len(weights), vectors.shape[1]), np.float32)
    prior[known] = vectors[[place[texts_of[number]] for number in known]]
    prior[known] -= prior[known].mean(axis=0) if known else 0
    return prior


def _token_text(tokenizer: Tokenizer, number: int) -> str:
    text = tokenizer.decode([number], skip_special_tokens=False)
    for marker in _MARKERS:
        text = text.replace(marker, "")
    return text.strip()
