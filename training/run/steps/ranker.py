"""The ranker over what the recall sources return."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from core.ranking.blend import Blend
from domain.durable import sha256_of
from training.ranking.acceptance import evaluate_held_out
from training.ranking.blend import BlendScorer
from training.ranking.blend_cases import BlendSettings, blend_sample
from training.ranking.examples import ExampleSettings, cross_fitted_examples, hold_out_of
from training.ranking.folder import BLEND, COLLABORATIVE, RANKER, load_sources, with_chosen
from training.ranking.ranker import Ranker, RankerSettings, held_out, train_ranker
from training.ranking.recalibration import recalibrated
from training.ranking.recall_settings import RecallSettings
from training.ranking.served import served_examples, with_served
from training.ranking.sources import RecallRecipe
from training.run.dataset import TrainingData
from training.run.folder import StepRecord, read_run
from training.run.item_facts import item_facts
from training.run.out_of_fold import out_of_fold_vectors
from training.run.steps.user_tower import out_of_fold_tower, saved_tower
from training.splits.validation import validation_ndcg


@dataclass(frozen=True)
class RankingSettings:
    """Settings of the ranker step.

    Attributes:
        recall: of the sources while questions are made; what the collaborative step chose wins.
        examples: of the questions.
        ranker: of the network.
        case_limit: most validation cases that judge it, drawn as those that chose the blend are.
        served: file of `shortlist events export --features`, whose questions are learned from too; empty for none.
    """

    recall: RecallSettings = field(default_factory=RecallSettings)
    examples: ExampleSettings = field(default_factory=ExampleSettings)
    ranker: RankerSettings = field(default_factory=RankerSettings)
    case_limit: int = BlendSettings.case_limit
    served: str = ""


class RankerStep:
    """The ranker step: writes `ranker/`."""

    name = "ranker"
    outputs = (RANKER,)
    uses = ("encoder", "collaborative", "user_tower", "aspects", "blend")

    def __init__(self, settings: RankingSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Needs the blend."""
        return "" if (data.out / BLEND).is_file() else f"{BLEND} is not there; train blend first"

    def settings(self, data: TrainingData) -> RankingSettings:
        """Returns the settings; served features by their digest, since another export may have the same name."""
        path = Path(self._settings.served)
        return replace(self._settings, served=sha256_of(path)) if path.is_file() else self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Trains on cross-fitted questions; the ranker is kept where it beats the blend and every source.

        Validation cases and held-out questions of training users count alike.
        """
        settings = self._settings
        validation = blend_sample(data.split.validation, settings.case_limit)
        facts = item_facts(data)
        tower = saved_tower(data.out, facts.vectors)
        blend = Blend.load(data.out / BLEND)
        examples_settings = replace(settings.examples, hold_out=hold_out_of(data.split.protocol))
        data.progress.step("questions for the ranker from sources fitted without those asked")
        others = None if tower is None else out_of_fold_tower(data, tower.settings)
        content = out_of_fold_vectors(data, items_hidden=examples_settings.hold_out == "items")
        recall = replace(settings.recall, list_lengths=blend.list_lengths)
        recipe = RecallRecipe(facts, with_chosen(recall, data.out / COLLABORATIVE), others, content, data.progress)
        try:
            examples = cross_fitted_examples(data.split.train, recipe, examples_settings, data.seed, blend)
            notes = []
            if settings.served:
                served = served_examples(Path(settings.served), data.split.item_ids)
                examples = with_served(examples, served)
                notes.append(f"{len(served.group):,} questions as they were served")
            model = train_ranker(examples, settings.ranker, data.seed, data.progress)
        except ValueError as error:
            return StepRecord(0, "", False, {}, [f"no ranker: {error}"])
        scorer = BlendScorer(load_sources(data.out, facts, tower), blend, validation.candidates)
        ranker = Ranker(scorer, model, settings.ranker.candidate_limit)
        held = evaluate_held_out(model, examples, held_out(examples, settings.ranker, data.seed))
        figures = {
            "ndcg_at_100": validation_ndcg(ranker, validation),
            "held_out_ndcg_at_100": held.ranker,
            "held_out_hybrid_ndcg_at_100": held.blend,
        }
        # Without a ranker the blend orders.
        gain = len(validation.cases) * (figures["ndcg_at_100"] - _standing(data.out))
        accepted = gain + held.count * (held.ranker - held.blend) > 0
        if accepted:
            model, hits = recalibrated(ranker, validation)
            model.save(work / RANKER)
            kind = "validation users" if model is not ranker.model else "held-out training users"
            notes.append(f"probabilities calibrated on {kind} ({hits:,} hits on validation)")
        return StepRecord(0, "", accepted, figures, notes)


def _standing(model: Path) -> float:
    """Returns the validation NDCG@100 that the ranker has to beat: the blend's, or that of the best source alone."""
    steps = read_run(model)["steps"]
    assert isinstance(steps, dict)
    return max(float(value) for value in steps["blend"]["metrics"].values())
