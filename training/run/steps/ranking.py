"""Hybrid recall, the ranker over what it returns, and the recall thresholds."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from core.ranking.blend import ProxyBlend
from domain.text import TextTemplate
from training.ranking.acceptance import evaluate_held_out
from training.ranking.blend import HybridSettings, crossed_ndcg, fit_hybrid
from training.ranking.examples import ExampleSettings, cross_fitted_examples, hold_out_of
from training.ranking.folder import COLLABORATIVE, RANKER, load_recall, save_hybrid, with_chosen
from training.ranking.proxy_history import ProxySettings, draw_lines, fit_proxy_blend, knowledge_of
from training.ranking.ranker import Ranker, RankerSettings, held_out, train_ranker
from training.ranking.sources import Recall, RecallRecipe, RecallSettings
from training.ranking.thresholds import ThresholdSettings, save_thresholds, validation_thresholds
from training.run.dataset import TrainingData
from training.run.folder import StepRecord
from training.run.item_facts import item_facts, query_vectors
from training.run.out_of_fold import out_of_fold_vectors
from training.run.steps.user_tower import out_of_fold_tower, saved_tower
from training.splits.short_histories import read_reviews, text_only
from training.splits.split import EvalSet, Scorer
from training.splits.validation import ndcg_by_case, validation_ndcg

_THRESHOLDS = "thresholds.json"


@dataclass(frozen=True)
class RankingSettings:
    """How candidates are blended and ranked.

    Attributes:
        recall: of the sources while questions are made; what the collaborative step chose wins.
        hybrid: of the blend.
        examples: of the questions.
        ranker: of the network.
        thresholds: of recall.
        told: of what answers histories that are only told as text.
    """

    recall: RecallSettings = field(default_factory=RecallSettings)
    hybrid: HybridSettings = field(default_factory=HybridSettings)
    examples: ExampleSettings = field(default_factory=ExampleSettings)
    ranker: RankerSettings = field(default_factory=RankerSettings)
    thresholds: ThresholdSettings = field(default_factory=ThresholdSettings)
    told: ProxySettings = field(default_factory=ProxySettings)


class RankingStep:
    """Writes `ranker/` and `thresholds.json`."""

    name = "ranker"
    outputs = (RANKER, _THRESHOLDS)
    uses = ("encoder", "collaborative", "user_tower", "aspects")

    def __init__(self, settings: RankingSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Needs the collaborative tables."""
        return "" if (data.out / COLLABORATIVE).is_dir() else "collaborative/ is not there; train it first"

    def settings(self, data: TrainingData) -> RankingSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Trains on cross-fitted questions; the ranker stays where it beats the blend and every source.

        Validation cases and held-out questions of training users count alike.
        """
        settings, split = self._settings, data.split
        facts = item_facts(data)
        tower = saved_tower(data.out, facts.vectors)
        recall = load_recall(data.out / COLLABORATIVE, facts, tower)
        recall = replace(recall, list_lengths=settings.recall.list_lengths)
        hybrid = fit_hybrid(recall, split.validation, settings.hybrid, data.progress)
        hybrid = replace(hybrid, told=_told(data, recall, settings.told))
        asked = replace(settings.examples, hold_out=hold_out_of(split.protocol))
        data.progress.step("questions for the ranker from sources fitted without those asked")
        others = None if tower is None else out_of_fold_tower(data, tower.settings)
        content = out_of_fold_vectors(data, items_hidden=asked.hold_out == "items")
        recipe = RecallRecipe(facts, with_chosen(settings.recall, data.out / COLLABORATIVE), others, content)
        save_hybrid(hybrid, work / RANKER)
        chosen = validation_thresholds(_sources(recall), split.validation, settings.thresholds)
        save_thresholds(chosen, work / _THRESHOLDS)
        weights = ", ".join(f"{name} {weight:g}" for name, weight in hybrid.weights.items() if weight)
        notes = [f"hybrid recall: {weights}"]
        if hybrid.told is not None:
            told = ", ".join(f"{name} {weight:g}" for name, weight in hybrid.told.weights.items())
            notes.append(f"told histories: {told}, {hybrid.told.nearest} stand-ins at {hybrid.told.temperature:g}")
        figures = {
            "hybrid_ndcg_at_100": crossed_ndcg(recall, split.validation, settings.hybrid),
            "source_ndcg_at_100": _best_source(recall, split.validation),
        }
        try:
            examples = cross_fitted_examples(split.train, recipe, asked, data.seed)
            model = train_ranker(examples, settings.ranker, data.seed, data.progress)
        except ValueError as error:
            return StepRecord(0, "", False, figures, [*notes, f"no ranker: {error}"])
        ranker = Ranker(hybrid, model, settings.ranker.candidate_limit, split.validation.candidates)
        figures = {"ndcg_at_100": validation_ndcg(ranker, split.validation)} | figures
        held = held_out(examples, settings.ranker, data.seed)
        judged = evaluate_held_out(model, examples, held, hybrid.weights)
        figures |= {"held_out_ndcg_at_100": judged.ranker, "held_out_hybrid_ndcg_at_100": judged.blend}
        # Without a ranker the blend orders.
        standing = max(figures["hybrid_ndcg_at_100"], figures["source_ndcg_at_100"])
        gain = len(split.validation.cases) * (figures["ndcg_at_100"] - standing)
        accepted = gain + judged.count * (judged.ranker - judged.blend) > 0
        if accepted:
            model.save(work / RANKER)
        return StepRecord(0, "", accepted, figures, notes)


def _told(data: TrainingData, recall: Recall, settings: ProxySettings) -> ProxyBlend | None:
    """Returns how told histories are answered; None where no item has a text, or none of them can be told."""
    knowledge, texts = knowledge_of(recall), data.texts
    if knowledge is None or texts is None:
        return None
    reviews = read_reviews(data.interactions, data.split.item_ids)
    lines = draw_lines(
        data.split.validation,
        lambda part: text_only(part, texts, TextTemplate(), reviews),
        lambda told: query_vectors(data, told),
        settings,
        data.seed,
    )
    return fit_proxy_blend(knowledge, lines, settings, data.progress)


def _best_source(recall: Recall, validation: EvalSet) -> float:
    """Returns the best validation NDCG@100 of one source alone."""
    scores = recall.source_scores([case.history for case in validation.cases])
    return max(float(ndcg_by_case(found, validation).mean()) for found in scores.values())


def _sources(recall: Recall) -> dict[str, Scorer]:
    """Returns the sources that have a threshold, by the names that serving knows."""
    sources: dict[str, Scorer] = {"collaborative": recall.collaborative}
    if recall.semantic is not None:
        sources["semantic_history"] = recall.semantic
    return sources
