"""The blend of the recall sources, also for short histories, for histories of text, and for those beside a text."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.ranking.blend import LIST_LENGTHS, Blend, ProxyBlend
from domain.progress import Progress
from domain.text import TextTemplate
from training.ranking.blend import choose_blend, crossed_ndcg
from training.ranking.blend_cases import BlendCases, BlendSettings, choose_half_lives
from training.ranking.folder import BLEND, COLLABORATIVE, load_sources
from training.ranking.history_strength import FittedStrength, StrengthSettings, fit_history_strength
from training.ranking.proxy_history import ProxySettings, draw_lines, fit_proxy_blend
from training.ranking.sources import FittedSources
from training.ranking.text_questions import TextMatcher, draw_questions, heard_histories, unrelated_histories
from training.run.dataset import TrainingData
from training.run.folder import StepRecord
from training.run.item_facts import item_facts, query_vectors
from training.run.steps.user_tower import saved_tower
from training.splits.short_histories import read_reviews, text_only
from training.splits.split import EvalSet


@dataclass(frozen=True)
class BlendStepSettings:
    """Settings of the blend step.

    Attributes:
        list_lengths: items that each source recalls for the ranker, by its name.
        weights: how weights are searched.
        proxy: what is tried for histories that are only text.
        strength: what is tried for a history beside a text.
    """

    list_lengths: Mapping[str, int] = field(default_factory=lambda: dict(LIST_LENGTHS))
    weights: BlendSettings = field(default_factory=BlendSettings)
    proxy: ProxySettings = field(default_factory=ProxySettings)
    strength: StrengthSettings = field(default_factory=StrengthSettings)


class BlendStep:
    """The blend step: writes `blend.json`."""

    name = "blend"
    outputs = (BLEND,)
    uses = ("encoder", "collaborative", "user_tower")

    def __init__(self, settings: BlendStepSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Needs the collaborative tables."""
        return "" if (data.out / COLLABORATIVE).is_dir() else "collaborative/ is not there; train it first"

    def settings(self, data: TrainingData) -> BlendStepSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Fits the weights on validation, and evaluates them by cases that did not choose them."""
        settings, validation = self._settings, data.split.validation
        facts = item_facts(data)
        fitted = load_sources(data.out, facts, saved_tower(data.out, facts.vectors))
        fitted = replace(fitted, list_lengths=settings.list_lengths)
        fitted, cases, crossed = _with_recency(fitted, validation, settings.weights, data.progress)
        blend = replace(choose_blend(cases, settings.weights, data.progress), half_lives=fitted.half_lives)
        blend = replace(blend, proxy=_proxy_blend(data, fitted, settings.proxy))
        strength = _history_strength(data, fitted, blend, settings.strength)
        if strength is not None:
            blend = replace(blend, history_strength=strength.strength)
        blend.save(work / BLEND)
        notes = [
            "hybrid recall: " + ", ".join(f"{name} {weight:g}" for name, weight in blend.weights.items() if weight)
        ]
        if blend.proxy is not None:
            weights = ", ".join(f"{name} {weight:g}" for name, weight in blend.proxy.weights.items())
            notes.append(f"proxy histories: {weights}, {blend.proxy.nearest} items at {blend.proxy.temperature:g}")
        if strength is not None:
            notes.append(_words(strength))
        figures = {
            "hybrid_ndcg_at_100": crossed,
            "source_ndcg_at_100": cases.best_source() if validation.cases else 0.0,
        }
        chosen: dict[str, float | str | bool] = {name: weight for name, weight in blend.weights.items() if weight}
        chosen |= {f"half_life_{name}": value for name, value in blend.half_lives.items()}
        return StepRecord(0, "", True, figures, notes, chosen=chosen)


def _with_recency(
    fitted: FittedSources, validation: EvalSet, settings: BlendSettings, progress: Progress
) -> tuple[FittedSources, BlendCases, float]:
    """Returns the sources, their half-lives set where the blend of them is no worse, the cases, and its NDCG@100."""
    plain = BlendCases.of(fitted, validation, settings, progress)
    without = crossed_ndcg(plain, settings)
    chosen = choose_half_lives(fitted, validation, settings, progress)
    if not chosen:
        return fitted, plain, without
    weighed = replace(fitted, half_lives=chosen)
    cases = BlendCases.of(weighed, validation, settings, progress)
    ndcg = crossed_ndcg(cases, settings)
    progress.step(f"    blend with recency: NDCG@100 {ndcg:.4f}, without {without:.4f}")
    return (weighed, cases, ndcg) if ndcg >= without else (fitted, plain, without)


def _proxy_blend(data: TrainingData, fitted: FittedSources, settings: ProxySettings) -> ProxyBlend | None:
    """Returns the blend for histories that are only text; None where no item has a text, or no line can be made."""
    texts = data.texts
    if fitted.content is None or texts is None:
        return None
    reviews = read_reviews(data.interactions, data.split.item_ids)
    lines = draw_lines(
        data.split.validation,
        lambda part: text_only(part, texts, TextTemplate(), reviews),
        lambda texts: query_vectors(data, texts),
        settings,
        data.seed,
    )
    return fit_proxy_blend(fitted, lines, settings, data.progress)


def _words(fitted: FittedStrength) -> str:
    return (
        f"history beside a text: strength {fitted.strength:g}, NDCG@10 {fitted.ratio:.3f} of the text's alone "
        f"[{fitted.low:.3f}, {fitted.high:.3f}] over {fitted.question_count} questions; an unrelated item leaves "
        f"{fitted.kept:.3f} of a text's top ten"
    )


def _history_strength(
    data: TrainingData, fitted: FittedSources, blend: Blend, settings: StrengthSettings
) -> FittedStrength | None:
    """Returns the strength of a history beside a text; None without texts, or with too few questions."""
    items, vectors = data.items, fitted.facts.vectors
    if items is None or vectors is None or data.encoder is None:
        return None
    questions = draw_questions(data.split.validation.cases, items, settings.question_limit, data.seed)
    if len(questions) < settings.fewest:
        return None
    matched = TextMatcher.of_items(items, vectors).matched(questions, lambda texts: query_vectors(data, texts))
    own = [one.question.history for one in matched]
    unrelated = unrelated_histories(matched, vectors, fitted.popular.chosen, data.seed)
    heard, beside = (list(heard_histories(matched, histories, fitted, blend)) for histories in (own, unrelated))
    return fit_history_strength(matched, heard, beside, settings, data.seed)
