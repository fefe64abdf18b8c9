"""Distils an encoder into a table of token vectors: `core.text.static_encoder`, which answers in microseconds.

Teacher's vectors of single tokens are the start (as in model2vec); a ridge regression on texts and fragments of them
moves every token that the texts tell something about; then gradient steps on the ranking of neighbours, while texts
held out get better.
"""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from core.text.static_encoder import TOKENIZER_FILE, StaticEncoder, StaticTable, write_static_student
from core.text.tokenize import TextTokenizer
from domain.errors import EncoderNotUsable, StorageError
from domain.progress import Progress
from training.distillation.fragments import sample_material
from training.distillation.likeness import Likeness, measure_likeness
from training.distillation.static_fit import Bags, RankingFit, embed_bags, make_bags, solve_ridge
from training.distillation.teacher_vectors import Encode, teacher_vectors

_MARKERS = ("##", "▁", "Ġ", "</w>")  # how vocabularies mark the insides or the starts of words


@dataclass(frozen=True)
class StaticStudentSettings:
    """How a static student is distilled.

    Attributes:
        max_tokens: longer texts are cut.
        fragments_per_text: pieces cut from each text, to learn from beside the whole.
        most_texts: whole texts and fragments in all; more are left out at random.
        most_prior_tokens: tokens whose start is asked of the teacher: those of the texts first, then by number.
        rarity: a of w_t = a / (a + share of token t), after Arora et al. 2017; frequent tokens count less.
        length_power: p of `core.text.static_encoder`.
        ridge: how strongly a token keeps to its start.
        solver_steps: most steps of the regression's solver.
        held_out: share of the texts that figures are measured on, with their fragments.
        epochs: most passes of the ranking stage; 0 leaves it out.
        patience: passes without a better held-out figure before it stops.
        rate: of the ranking stage's Adam.
        batch_size: texts in one of its steps.
        ranking_weight: of the ranking of neighbours beside 1 - cosine; 0 leaves it out.
        temperature: of the similarities in it; the lower, the more the nearest count.
        bank_size: texts among which neighbours are ranked, drawn anew each step.
    """

    max_tokens: int = 256
    fragments_per_text: float = 3.0
    most_texts: int = 60_000
    most_prior_tokens: int = 60_000
    rarity: float = 1e-3
    length_power: float = 0.5
    ridge: float = 0.3
    solver_steps: int = 20
    held_out: float = 0.05
    epochs: int = 5
    patience: int = 1
    rate: float = 1e-3
    batch_size: int = 256
    ranking_weight: float = 1.0
    temperature: float = 0.05
    bank_size: int = 1_024


@dataclass(frozen=True)
class StaticStudentResult:
    """What came out on held-out texts, before the final table was fitted to all of them.

    Attributes:
        prior: the teacher's vectors of single tokens alone.
        ridge: after the regression.
        final: after the ranking stage; as `ridge` where that was no better.
        ranking_epochs: passes of it that were kept.
        text_count: whole texts learned from.
        fragment_count: fragments learned from.
    """

    prior: Likeness
    ridge: Likeness
    final: Likeness
    ranking_epochs: int
    text_count: int
    fragment_count: int


class StaticStudent:
    """A distilled table with its tokenizer and figures."""

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
        settings = {"max_tokens": self._max_tokens, "figures": dataclasses.asdict(self.result)}
        try:
            write_static_student(folder, self.table, json.loads(json.dumps(settings).replace("NaN", "null")))
            shutil.copyfile(self._tokenizer_path, folder / TOKENIZER_FILE)
        except OSError as error:
            raise StorageError(f"{folder} can't be written: {error.strerror}; free some space") from error


@dataclass(frozen=True)
class _Lesson:
    """Texts to learn from, with the teacher's answers; `held` marks those left out at first."""

    bags: Bags
    targets: np.ndarray
    held: np.ndarray
    whole_count: int


def train_static_student(  # noqa: PLR0913 - the orchestrator's shape, one place
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
        texts: what will be searched or asked for; item texts as a rule.
        settings: None for the defaults.
        seed: of fragments, the held-out share and the order of steps.
        progress: told of steps and figures.
        cache: folder that keeps the teacher's answers, so that a killed run goes on; None keeps none.

    Raises:
        EncoderNotUsable: the teacher or the tokenizer can't be used, or no text has a known token.
        StorageError: the cache can't be written.
    """
    settings = settings or StaticStudentSettings()
    tokenizer = TextTokenizer(tokenizer_path, settings.max_tokens)
    rng = np.random.default_rng(seed)
    data = sample_material(texts, settings.fragments_per_text, settings.most_texts, settings.held_out, seed)
    token_ids = [tokenized.ids for tokenized in tokenizer.tokenize(data.texts)]
    weights = _weights(Tokenizer.from_file(str(tokenizer_path)), token_ids, ~data.held, settings.rarity)
    targets = teacher_vectors(teacher_encode, data.texts, cache, progress)
    bags = make_bags(token_ids, weights, settings.length_power)
    if not len(bags.tokens):
        raise EncoderNotUsable(f"no text has a token that {tokenizer_path} knows; expected texts in its language")
    lesson = _Lesson(bags, targets, data.held, data.whole_count)
    prior = _prior(teacher_encode, tokenizer_path, bags.tokens, weights, settings, cache, progress)
    weights[~prior.any(axis=1) & ~np.isin(np.arange(len(weights)), bags.tokens)] = 0  # never asked, never seen
    start = np.vstack([prior[bags.tokens], targets[~lesson.held].mean(axis=0)])
    table, result = _fit(lesson, start, settings, rng, progress)
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
    """float32[v, d]: the teacher's vector of each token told as a text, less their mean; zeros for those not asked."""
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    rest = np.setdiff1d(np.flatnonzero(weights > 0), seen)
    asked = np.concatenate([seen, rest])[: settings.most_prior_tokens]
    told = {int(number): _told(tokenizer, int(number)) for number in asked}
    distinct = sorted({text for text in told.values() if text})
    vectors = teacher_vectors(encode, distinct, cache, progress) if distinct else encode(["a"])[:0]
    place = {text: number for number, text in enumerate(distinct)}
    known = [number for number, text in told.items() if text]
    prior = np.zeros((len(weights), vectors.shape[1]), np.float32)
    prior[known] = vectors[[place[told[number]] for number in known]]
    prior[known] -= prior[known].mean(axis=0) if known else 0
    return prior


def _told(tokenizer: Tokenizer, number: int) -> str:
    text = tokenizer.decode([number], skip_special_tokens=False)
    for marker in _MARKERS:
        text = text.replace(marker, "")
    return text.strip()


def _fit(
    lesson: _Lesson, start: np.ndarray, settings: StaticStudentSettings, rng: np.random.Generator, progress: Progress
) -> tuple[np.ndarray, StaticStudentResult]:
    """Finds on held-out texts how many ranking passes help, then fits to all texts with as many."""
    used, held = np.flatnonzero(~lesson.held), np.flatnonzero(lesson.held)

    def likeness(table: np.ndarray) -> Likeness:
        return measure_likeness(embed_bags(lesson.bags.take(held), table), lesson.targets[held])

    prior = likeness(start)
    bags, targets = lesson.bags.take(used), lesson.targets[used]
    table = solve_ridge(bags, targets, start, settings.ridge, settings.solver_steps)
    ridge = best = likeness(table)
    progress.step(f"static student: held-out cosine {prior.cosine:.4f} -> {ridge.cosine:.4f} by regression")
    fit, kept = RankingFit(bags, targets, table, settings), 0
    for epoch in range(1, settings.epochs + 1 if len(held) else 1):
        loss = fit.run_epoch(rng)
        now = likeness(fit.table)
        progress.metric("static_student/loss", epoch, loss)
        progress.metric("static_student/held_out_overlap_at_10", epoch, now.overlap_at_10)
        if now.overlap_at_10 > best.overlap_at_10:
            best, kept, table = now, epoch, fit.table
        elif epoch - kept >= settings.patience:
            break
    if len(held):
        table = solve_ridge(lesson.bags, lesson.targets, start, settings.ridge, settings.solver_steps)
        fit = RankingFit(lesson.bags, lesson.targets, table, settings)
        for _ in range(kept):
            fit.run_epoch(rng)
        table = fit.table
    fragment_count = len(lesson.held) - lesson.whole_count
    result = StaticStudentResult(prior, ridge, best, kept, lesson.whole_count, fragment_count)
    return table, result
