"""Fits the table of a static student: ridge regression, then gradient steps on the ranking of neighbours."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array

from domain.progress import Progress
from training.distillation.loss import TeacherTargets
from training.distillation.similarity import TeacherSimilarity, measure_similarity
from training.distillation.token_bags import Bags, embed_bags

_CONSTANT_RIDGE = 1e-3
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class StaticStudentSettings:
    """Settings of the distillation into a static student.

    Attributes:
        max_tokens: longer texts are cut.
        fragments_per_text: pieces cut from each text, to learn from beside the whole.
        most_texts: whole texts and fragments in all; more are left out at random.
        most_prior_tokens: tokens that the teacher encodes by themselves: those of the texts first, then by number.
        rarity: a of w_t = a / (a + share of token t), after Arora et al. 2017; frequent tokens count less.
        length_power: p of `core.text.static_encoder`.
        ridge: weight of a token's start against the texts.
        solver_steps: most steps of the regression's solver.
        held_out: share of the texts that metrics are measured on, with their fragments.
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
    """Similarity to the teacher on held-out texts, before the final table was fitted to all of them.

    Attributes:
        prior: the teacher's vectors of single tokens alone.
        ridge: after the regression.
        final: after the ranking stage; as `ridge` where that was no better.
        ranking_epochs: passes of it that were kept.
        text_count: whole texts learned from.
        fragment_count: fragments learned from.
    """

    prior: TeacherSimilarity
    ridge: TeacherSimilarity
    final: TeacherSimilarity
    ranking_epochs: int
    text_count: int
    fragment_count: int


@dataclass(frozen=True)
class StaticTrainingSet:
    """Texts with the teacher's vectors.

    Attributes:
        bags: of all texts.
        targets: float32[n, d], the teacher's vectors.
        held_out: bool[n], left out of training at first, to measure on.
        whole_count: whole texts among them; the rest are fragments.
    """

    bags: Bags
    targets: np.ndarray
    held_out: np.ndarray
    whole_count: int


def fit_table(
    data: StaticTrainingSet,
    start: np.ndarray,
    settings: StaticStudentSettings,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[np.ndarray, StaticStudentResult]:
    """Finds on held-out texts how many ranking passes help, then fits to all texts with as many.

    Args:
        data: texts and the teacher's vectors.
        start: float32[u + 1, d], the table to begin with.
        settings: of the distillation.
        rng: of the order of steps.
        progress: hears of the curves.

    Returns:
        The table, float32[u + 1, d], and its similarity to the teacher on held-out texts.
    """
    used, held_out = np.flatnonzero(~data.held_out), np.flatnonzero(data.held_out)

    def similarity(table: np.ndarray) -> TeacherSimilarity:
        return measure_similarity(embed_bags(data.bags.take(held_out), table), data.targets[held_out])

    prior = similarity(start)
    bags, targets = data.bags.take(used), data.targets[used]
    table = solve_ridge(bags, targets, start, settings.ridge, settings.solver_steps)
    ridge = best = similarity(table)
    progress.step(f"static student: held-out cosine {prior.cosine:.4f} -> {ridge.cosine:.4f} by regression")
    fit, kept = RankingFit(bags, targets, table, settings), 0
    for epoch in range(1, settings.epochs + 1 if len(held_out) else 1):
        loss = fit.run_epoch(rng)
        now = similarity(fit.table)
        progress.metric("static_student/loss", epoch, loss)
        progress.metric("static_student/held_out_overlap_at_10", epoch, now.overlap_at_10)
        if now.overlap_at_10 > best.overlap_at_10:
            best, kept, table = now, epoch, fit.table
        elif epoch - kept >= settings.patience:
            break
    if len(held_out):
        table = solve_ridge(data.bags, data.targets, start, settings.ridge, settings.solver_steps)
        fit = RankingFit(data.bags, data.targets, table, settings)
        for _ in range(kept):
            fit.run_epoch(rng)
        table = fit.table
    fragment_count = len(data.held_out) - data.whole_count
    result = StaticStudentResult(prior, ridge, best, kept, data.whole_count, fragment_count)
    return table, result


def solve_ridge(bags: Bags, targets: np.ndarray, start: np.ndarray, ridge: float, most_steps: int) -> np.ndarray:
    """Returns argmin_E |X E - Y|^2 + ridge |E - start|^2, by conjugate gradients with a diagonal preconditioner.

    A token that occurs in few texts stays near its start. The constant is hardly penalised.

    Args:
        bags: X.
        targets: float32[n, d], Y.
        start: float32[u + 1, d], rows as the columns of X.
        ridge: above 0.
        most_steps: each costs two products of X with d columns.
    """
    x = bags.matrix
    xt = x.T.tocsr()
    penalty = np.full((x.shape[1], 1), ridge, np.float32)
    penalty[-1] = _CONSTANT_RIDGE
    scale = 1 / (np.asarray(xt.multiply(xt).sum(axis=1)).reshape(-1, 1) + penalty)
    moved = np.zeros_like(start)
    residual = xt @ (targets - x @ start)
    direction = scale * residual
    size = first = (residual * direction).sum(axis=0)
    for _ in range(most_steps):
        if (size <= _TOLERANCE * first).all():
            break
        image = xt @ (x @ direction) + penalty * direction
        step = size / np.maximum((direction * image).sum(axis=0), 1e-12)
        moved += step * direction
        residual -= step * image
        scaled = scale * residual
        before, size = size, (residual * scaled).sum(axis=0)
        direction = scaled + (size / np.maximum(before, 1e-12)) * direction
    return np.asarray(start + moved, np.float32)


class RankingFit:
    """Gradient steps on token vectors, starting from the regression."""

    def __init__(self, bags: Bags, targets: np.ndarray, table: np.ndarray, settings: StaticStudentSettings) -> None:
        """Takes X, the teacher's vectors float32[n, d], and the table float32[u + 1, d] to begin from."""
        self._matrix, self._settings, self._count = bags.matrix, settings, len(targets)
        self._targets = TeacherTargets(torch.from_numpy(targets), np.arange(len(targets)), settings)
        self._table = torch.from_numpy(table.copy()).requires_grad_()
        self._adam = torch.optim.Adam([self._table], lr=settings.rate)

    @property
    def table(self) -> np.ndarray:
        """float32[u + 1, d], the present table."""
        return np.array(self._table.detach().numpy())

    def run_epoch(self, rng: np.random.Generator) -> float:
        """Goes through the texts once in random order; returns the mean loss."""
        order = rng.permutation(self._count)
        losses = [
            self._step(order[at : at + self._settings.batch_size], rng)
            for at in range(0, len(order), self._settings.batch_size)
        ]
        return float(np.mean(losses))

    def _step(self, places: np.ndarray, rng: np.random.Generator) -> float:
        vectors = torch.nn.functional.normalize(_bag_sums(self._matrix[places], self._table), dim=1)
        loss = self._targets.loss(vectors, places, rng)
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        return float(loss.detach())


def _bag_sums(matrix: csr_array, table: torch.Tensor) -> torch.Tensor:
    offsets = torch.from_numpy(matrix.indptr[:-1].astype(np.int64))
    columns = torch.from_numpy(matrix.indices.astype(np.int64))
    values = torch.from_numpy(matrix.data)
    return torch.nn.functional.embedding_bag(columns, table, offsets, mode="sum", per_sample_weights=values)
