"""Learns how to answer a history that is only told as text: validation histories are told, one line each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from core.ranking.blend import ProxyBlend
from core.retrieval.item_neighbours import NeighbourTable, PopularItems
from core.retrieval.proxy_history import Knowledge, ProxyHistory, proxy_scores
from core.vectors import exact_search
from domain.progress import Progress, SilentProgress
from domain.recommendation import Source
from training.ranking.blend import HybridSettings, choose_weights
from training.ranking.sources import Recall
from training.splits.short_histories import ShortHistorySet
from training.splits.split import EvalCase, EvalSet
from training.splits.validation import ndcg_by_case

# Scores held at once by source, so that many lines over a large catalogue don't fill the memory.
_MOST_SCORES = 40_000_000
_FEWEST_LINES = 50


@dataclass(frozen=True)
class ProxySettings:
    """What is tried.

    Attributes:
        line_limit: most lines that are asked.
        lines_each: most lines of one case, each about another of its events; a few dozen cases alone tell little.
        nearest: how many items stand in for a line.
        temperatures: of the softmax of their cosines.
        weights: of the sources. One line says little, so what is chosen often may count more than all else.
    """

    line_limit: int = 400
    lines_each: int = 4
    nearest: tuple[int, ...] = (5, 20, 100)
    temperatures: tuple[float, ...] = (0.1, 0.3, 1.0)
    weights: HybridSettings = field(
        default_factory=lambda: HybridSettings(
            tried=(0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0), betas=(-0.1, 0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
        )
    )


@dataclass(frozen=True)
class ProxyLines:
    """Questions about people of whom one line is told.

    Attributes:
        part: a case a line, its whole history left out of the answers.
        vectors: float32[L, d], unit, the lines'.
        own: int64[L], the item that each line is about.
    """

    part: EvalSet
    vectors: np.ndarray
    own: np.ndarray


def knowledge_of(recall: Recall) -> Knowledge | None:
    """Returns what told histories are answered from, as a release has it; None without content vectors."""
    if recall.semantic is None:
        return None
    vectors, table = recall.semantic.vectors, recall.collaborative
    neighbours = NeighbourTable(table.rows, table.weights)
    return Knowledge(vectors, np.asarray(~vectors.any(axis=1)), neighbours, PopularItems(recall.popularity.log_prior))


def read_proxy_history(query: np.ndarray, knowledge: Knowledge, blend: ProxyBlend) -> ProxyHistory:
    """Returns the text with the items that stand in for it, found by looking at every item."""
    return ProxyHistory.of(
        query, exact_search(knowledge.vectors, query, blend.nearest, knowledge.unusable_as_proxy()), blend
    )


def scores_of(told: Sequence[ProxyHistory], knowledge: Knowledge, weights: Mapping[str, float]) -> np.ndarray:
    """Returns float32[B, n], what the sources with a weight say of every item."""
    rows = np.arange(len(knowledge.vectors))
    found = np.zeros((len(told), len(rows)), np.float32)
    for place, one in enumerate(told):
        scores = proxy_scores(one, knowledge, weights, rows)
        if scores is not None:
            found[place] = scores
    return found


def draw_lines(
    validation: EvalSet,
    tell: Callable[[EvalSet], ShortHistorySet],
    encode: Callable[[Sequence[str]], np.ndarray],
    settings: ProxySettings,
    seed: int,
) -> ProxyLines:
    """Tells the last event of each case, and some earlier ones where there are few cases.

    Args:
        validation: the cases.
        tell: tells the last event of every case, see `cold_users.text_only`.
        encode: lines to float32[B, d], unit.
        settings: how many lines.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    most = min(settings.line_limit, max(_FEWEST_LINES, _MOST_SCORES // (2 * len(validation.candidates))))
    cases = [case for case in validation.cases if len(case.history)]
    if len(cases) > most:
        cases = [cases[place] for place in np.sort(rng.choice(len(cases), most, replace=False))]
    each = min(settings.lines_each, most // max(1, len(cases)))
    whole, cut = [], []
    for case in cases:
        last = len(case.history) - 1
        for place in (*rng.choice(last, min(each - 1, last), replace=False).tolist(), last) if last else (0,):
            whole.append(case)
            cut.append(EvalCase(case.user_id, case.history.take(slice(None, place + 1)), case.targets))
    lines = tell(EvalSet(tuple(cut), validation.candidates)).texts or ()
    kept = [place for place, line in enumerate(lines) if line.strip()]
    distinct = sorted({lines[place] for place in kept})
    vectors = dict(zip(distinct, encode(distinct), strict=True)) if distinct else {}
    return ProxyLines(
        EvalSet(tuple(whole[place] for place in kept), validation.candidates),
        np.array([vectors[lines[place]] for place in kept], np.float32),
        np.array([cut[place].history.rows[-1] for place in kept], np.int64),
    )


def fit_proxy_blend(
    knowledge: Knowledge, lines: ProxyLines, settings: ProxySettings | None = None, progress: Progress | None = None
) -> ProxyBlend | None:
    """Chooses by validation NDCG@100 what stands in for a line, then what each source counts.

    Every line is asked twice: with the item that it is about in the catalogue, and as though the catalogue lacked it,
    which is why most histories are told. The text always has a say: were popularity alone best, everybody would get
    the same. None where nothing can be told.
    """
    settings, progress = settings or ProxySettings(), progress or SilentProgress()
    if not len(lines.own):
        return None
    asked = EvalSet(lines.part.cases * 2, lines.part.candidates)
    nearest = _nearest(knowledge, lines, max(settings.nearest))
    blends = [ProxyBlend({}, count, heat) for count in settings.nearest for heat in settings.temperatures]
    blend, spoken, figure = _best_stand_ins(blends, nearest, knowledge, asked)
    told = [ProxyHistory.of(query, found, blend) for query, found in nearest]
    standard = {Source.COLLABORATIVE.value: spoken}
    for source in (Source.SEMANTIC_HISTORY, Source.POPULAR):
        standard[source.value] = scores_of(told, knowledge, {source: 1.0})
    chosen = choose_weights(standard, asked, settings.weights)
    weights = {name: weight for name, weight in chosen.weights.items() if weight}
    if weights.keys() == {Source.POPULAR}:
        weights[Source.SEMANTIC_HISTORY.value] = min(weight for weight in settings.weights.tried if weight > 0)
    progress.step(
        f"told histories {weights}, {blend.nearest} stand-ins at temperature {blend.temperature:g}: validation "
        f"NDCG@100 {chosen.figure:.4f} over {len(lines.own):,} lines ({chosen.first} alone "
        f"{chosen.first_figure:.4f}, neighbours of the stand-ins {figure:.4f})"
    )
    return replace(blend, weights=weights)


_Found = tuple[np.ndarray, np.ndarray]


def _nearest(knowledge: Knowledge, lines: ProxyLines, count: int) -> list[tuple[np.ndarray, _Found]]:
    """Returns each line's vector and the nearest items: first for all with the line's own item, then without it."""
    barred = knowledge.unusable_as_proxy()
    found, without = [], []
    for query, own in zip(lines.vectors, lines.own.tolist(), strict=True):
        rows, cosines = exact_search(knowledge.vectors, query, count + 1, barred)
        found.append((query, (rows, cosines)))
        without.append((query, (rows[rows != own], cosines[rows != own])))
    return [*found, *without]


def _best_stand_ins(
    blends: Sequence[ProxyBlend], nearest: Sequence[tuple[np.ndarray, _Found]], knowledge: Knowledge, asked: EvalSet
) -> tuple[ProxyBlend, np.ndarray, float]:
    """Returns how the stand-ins are best taken, what their neighbours say, float32[m, n], and that's NDCG@100 alone."""
    best: tuple[ProxyBlend, np.ndarray, float] | None = None
    for blend in blends:
        told = [ProxyHistory.of(query, found, blend) for query, found in nearest]
        scores = scores_of(told, knowledge, {Source.COLLABORATIVE: 1.0})
        figure = float(ndcg_by_case(scores, asked).mean())
        if best is None or figure > best[2]:
            best = blend, scores, figure
    assert best is not None
    return best
