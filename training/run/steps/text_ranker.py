"""The text ranker over what a text finds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.ranking.blend import Blend
from core.ranking.item_facts import ItemFacts
from domain.model_folder import TEXT_RANKER
from training.ranking.examples import Examples, before_late_events
from training.ranking.folder import BLEND, COLLABORATIVE, load_sources, with_chosen
from training.ranking.history_strength import combined_scores
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import RecallRecipe, fit_sources
from training.ranking.text_questions import MatchedQuestion, TextMatcher, draw_questions, heard_histories
from training.ranking.text_ranker import (
    TextRankerSettings,
    compare,
    heard_part,
    late_cases,
    text_examples,
    train_text_ranker,
)
from training.run.dataset import TrainingData
from training.run.folder import StepRecord
from training.run.item_facts import item_facts, query_vectors
from training.run.out_of_fold import out_of_fold_vectors
from training.run.steps.user_tower import out_of_fold_tower, saved_tower
from training.splits.split import EvalCase


class TextRankerStep:
    """The text ranker's step: writes `text_ranker/`."""

    name = "text_ranker"
    outputs = (TEXT_RANKER,)
    uses = ("encoder", "collaborative", "user_tower", "aspects", "blend")

    def __init__(self, settings: TextRankerSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Needs texts and the blend."""
        if data.items is None or data.encoder is None:
            return "no item has a text"
        return "" if (data.out / BLEND).is_file() else f"{BLEND} is not there; train blend first"

    def settings(self, data: TrainingData) -> TextRankerSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Trains a network and, beside it, a linear model; the better one is kept where it beats the plain order.

        Questions are partial descriptions of the last choices of training users, asked of sources that were fitted
        without them. The plain order is that of text scores with the blend's strength of the history.
        """
        settings, items = self._settings, data.items
        assert items is not None
        facts = item_facts(data)
        assert facts.vectors is not None
        matcher = TextMatcher.of_items(items, facts.vectors)
        asked = self._training_questions(data, matcher)
        if len(asked) < settings.fewest:
            note = f"no text ranker: {len(asked)} questions, {settings.fewest} are needed"
            return StepRecord(0, "", False, {}, [note])
        data.progress.step(f"{len(asked):,} texts for the text ranker, from sources fitted without what they ask for")
        blend, tower = Blend.load(data.out / BLEND), saved_tower(data.out, facts.vectors)
        examples = self._training_examples(data, asked, blend, facts)
        validation = _matched(data, matcher, data.split.validation.cases, settings.question_limit, data.seed + 1)
        fitted = load_sources(data.out, facts, tower)
        known = list(heard_histories(validation, [one.question.history for one in validation], fitted, blend))
        judged = text_examples(validation, known, fitted.facts)
        plain = [
            combined_scores(one, history, blend.history_strength)
            for one, history in zip(validation, known, strict=True)
        ]
        models = [
            train_text_ranker(examples, shape, data.seed, data.progress)
            for shape in (settings.ranker, replace(settings.ranker, hidden=(), members=1))
        ]
        network, linear = (compare(model, judged, validation, plain) for model in models)
        better = int(linear.ranker > network.ranker)
        chosen = (network, linear)[better]
        figures = {
            "ndcg_at_10": chosen.ranker,
            "plain_ndcg_at_10": chosen.plain,
            "linear_ndcg_at_10": linear.ranker,
            "gain_low": chosen.low,
            "gain_high": chosen.high,
        }
        accepted = chosen.low > 0
        if accepted:
            models[better].save(work / TEXT_RANKER)
        return StepRecord(0, "", accepted, figures, [f"kept the {'linear model' if better else 'network'}"] * accepted)

    def _training_questions(self, data: TrainingData, matcher: TextMatcher) -> list[MatchedQuestion]:
        """Returns late choices of training users, as texts that find them."""
        cases = late_cases(data.split.train, self._settings.draws)
        found = _matched(data, matcher, cases, self._settings.question_limit, data.seed)
        return [one for one in found if one.question.target in one.match.rows]

    def _training_examples(
        self, data: TrainingData, asked: Sequence[MatchedQuestion], blend: Blend, facts: ItemFacts
    ) -> Examples:
        """Returns the questions for the network, heard by sources that were fitted without what they ask for."""
        assert facts.vectors is not None
        tower = saved_tower(data.out, facts.vectors)
        recipe = RecallRecipe(
            facts,
            with_chosen(RecallSettings(list_lengths=blend.list_lengths), data.out / COLLABORATIVE),
            None if tower is None else out_of_fold_tower(data, tower.settings),
            out_of_fold_vectors(data, items_hidden=False),
        )
        apart = fit_sources(before_late_events(data.split.train, self._settings.draws), recipe)
        heard = heard_part(asked, self._settings, np.random.default_rng(data.seed))
        return text_examples(asked, list(heard_histories(asked, heard, apart, blend)), apart.facts)


def _matched(
    data: TrainingData, matcher: TextMatcher, cases: Sequence[EvalCase], limit: int, seed: int
) -> list[MatchedQuestion]:
    """Draws questions for choices and finds their candidates."""
    assert data.items is not None
    questions = draw_questions(cases, data.items, limit, seed)
    return matcher.matched(questions, lambda texts: query_vectors(data, texts))
