"""The text ranker over what a text finds."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.ranking.blend import Blend
from domain.model_folder import TEXT_RANKER
from training.ranking.examples import before_late_events
from training.ranking.folder import BLEND, COLLABORATIVE, load_sources, with_chosen
from training.ranking.history_strength import combined_scores
from training.ranking.sources import RecallRecipe, RecallSettings, fit_sources
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

        def matched(found: list[MatchedQuestion]) -> list[MatchedQuestion]:
            return [one for one in found if one.question.target in one.match.rows]

        cases = late_cases(data.split.train, settings.draws)
        questions = draw_questions(cases, items, settings.question_limit, data.seed)
        asked = matched(matcher.matched(questions, lambda texts: query_vectors(data, texts)))
        if len(asked) < settings.fewest:
            return StepRecord(
                0, "", False, {}, [f"no text ranker: {len(asked)} questions, {settings.fewest} are needed"]
            )
        data.progress.step(f"{len(asked):,} texts for the text ranker, from sources fitted without what they ask for")
        blend = Blend.load(data.out / BLEND)
        tower = saved_tower(data.out, facts.vectors)
        recall = RecallSettings(list_lengths=blend.list_lengths)
        others = None if tower is None else out_of_fold_tower(data, tower.settings)
        content = out_of_fold_vectors(data, items_hidden=False)
        recipe = RecallRecipe(facts, with_chosen(recall, data.out / COLLABORATIVE), others, content)
        apart = fit_sources(before_late_events(data.split.train, settings.draws), recipe)
        heard = heard_part(asked, settings, np.random.default_rng(data.seed))
        examples = text_examples(asked, list(heard_histories(asked, heard, apart, blend)), apart.facts)
        validation = matcher.matched(
            draw_questions(data.split.validation.cases, items, settings.question_limit, data.seed + 1),
            lambda texts: query_vectors(data, texts),
        )
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
