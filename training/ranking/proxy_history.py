"""Fits the answer to a history that is only text: validation histories are put into words, one line each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from core.ranking.blend import ProxyBlend
from core.retrieval.collaborative import unusable_as_proxy
from core.retrieval.proxy_history import ProxyHistory, find_proxy_history
from core.retrieval.source import RecallSources, SourceQuery
from core.retrieval.vector_store import VectorStore
from domain.progress import Progress, SilentProgress
from domain.recommendation import Source
from training.ranking.blend import choose_weights
from training.ranking.blend_cases import BlendSettings
from training.ranking.pools import recall_pools, source_ndcg
from training.ranking.sources import FittedSources
from training.splits.short_histories import ShortHistorySet
from training.splits.split import EvalCase, EvalSet


@dataclass(frozen=True)
class ProxySettings:
    """Settings of the search for a proxy blend.

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
    weights: BlendSettings = field(
        default_factory=lambda: BlendSettings(
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


class ProxyReader:
    """Makes queries of texts as a gateway does: the text's vector, and the proxy history nearest to it."""

    def __init__(self, fitted: FittedSources) -> None:
        """Takes sources with content vectors."""
        assert fitted.content is not None
        self._content = VectorStore(fitted.content.vectors, np.asarray(~fitted.content.vectors.any(axis=1)))
        self._unusable = unusable_as_proxy(fitted.tables.get(Source.COLLABORATIVE.value), fitted.facts.count)

    def query(self, vector: np.ndarray, blend: ProxyBlend) -> SourceQuery:
        """Returns the query of float32[d], unit."""
        proxies = find_proxy_history(vector, self._content, self._unusable, blend.nearest, blend.temperature)
        return SourceQuery(history_vector=vector, proxy_history=proxies)

    def nearest(self, vector: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows int64[k] and cosines float32[k] of the nearest items with neighbours."""
        return self._content.search(vector, count, self._unusable)


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
    most = settings.line_limit
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
    fitted: FittedSources,
    lines: ProxyLines,
    settings: ProxySettings | None = None,
    progress: Progress | None = None,
) -> ProxyBlend | None:
    """Chooses by validation NDCG@100 which items form a proxy history, then what each source counts.

    Every line is asked twice: with the item that it is about in the catalogue, and without it, since a history is only
    text mostly where the catalogue lacks its items. The text always counts: by popularity alone everybody would get
    the same. None without content vectors or lines.
    """
    settings, progress = settings or ProxySettings(), progress or SilentProgress()
    if fitted.content is None or not len(lines.own):
        return None
    questions = EvalSet(lines.part.cases * 2, lines.part.candidates)
    nearest = _nearest(ProxyReader(fitted), lines, max(settings.nearest))
    blends = [ProxyBlend({}, count, heat) for count in settings.nearest for heat in settings.temperatures]
    blend, metric = _best_proxies(blends, nearest, fitted, questions)
    pools = recall_pools(_proxy_sources(fitted), questions, _query_maker(nearest, blend), fitted.list_lengths, progress)
    chosen = choose_weights(pools, settings.weights)
    weights = {name: weight for name, weight in chosen.weights.items() if weight}
    if weights.keys() == {Source.POPULAR}:
        weights[Source.SEMANTIC_HISTORY.value] = min(weight for weight in settings.weights.tried if weight > 0)
    progress.step(
        f"proxy histories {weights}, {blend.nearest} items at temperature {blend.temperature:g}: validation "
        f"NDCG@100 {chosen.metric:.4f} over {len(lines.own):,} lines ({chosen.first} alone "
        f"{chosen.first_metric:.4f}, neighbours of the proxy items {metric:.4f})"
    )
    return replace(blend, weights=weights)


_Nearest = tuple[np.ndarray, np.ndarray]


def _nearest(reader: ProxyReader, lines: ProxyLines, count: int) -> list[tuple[np.ndarray, _Nearest]]:
    """Returns each line's vector and the nearest items: first for all with the line's own item, then without it."""
    whole, without = [], []
    for vector, own in zip(lines.vectors, lines.own.tolist(), strict=True):
        rows, cosines = reader.nearest(vector, count + 1)
        whole.append((vector, (rows, cosines)))
        without.append((vector, (rows[rows != own], cosines[rows != own])))
    return [*whole, *without]


def _queries(nearest: Sequence[tuple[np.ndarray, _Nearest]], blend: ProxyBlend) -> list[SourceQuery]:
    return [
        SourceQuery(history_vector=vector, proxy_history=ProxyHistory.of(items, blend.nearest, blend.temperature))
        for vector, items in nearest
    ]


def _query_maker(
    nearest: Sequence[tuple[np.ndarray, _Nearest]], blend: ProxyBlend
) -> Callable[[Sequence[EvalCase]], Iterable[SourceQuery]]:
    """Returns a function that makes the queries of the next cases, a few at a time."""
    made = iter(_queries(nearest, blend))
    return lambda cases: islice(made, len(cases))


def _proxy_sources(fitted: FittedSources) -> RecallSources:
    """Returns the sources that may answer a history of text."""
    names = (Source.COLLABORATIVE, Source.SEMANTIC_HISTORY, Source.POPULAR)
    found = (fitted.sources.get(name.value) for name in names)
    return RecallSources(tuple(source for source in found if source is not None), fitted.sources.population)


def _best_proxies(
    blends: Sequence[ProxyBlend],
    nearest: Sequence[tuple[np.ndarray, _Nearest]],
    fitted: FittedSources,
    questions: EvalSet,
) -> tuple[ProxyBlend, float]:
    """Returns the best number and temperature, and the NDCG@100 of collaborative recall by them."""
    source = fitted.sources.get(Source.COLLABORATIVE.value)
    if source is None:
        return blends[0], 0.0
    metrics = [source_ndcg(source, _queries(nearest, blend), questions) for blend in blends]
    best = int(np.argmax(metrics))
    return blends[best], metrics[best]
