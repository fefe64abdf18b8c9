"""`shortlist evaluate`: fits and loads the methods, makes the table, and the table again for cold users."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from domain.progress import Progress
from domain.prompts import TextRole
from domain.text import TextTemplate
from shortlist import AsyncClient
from training.encoder.item_vectors import item_vectors
from training.encoder.line_encoder import LineEncoder
from training.encoder.semantic import SemanticScorer
from training.evaluation.accumulator import EvaluationContext
from training.evaluation.baselines import BASELINES, USUAL, ZERO_SHOT, ZeroShot, fit_baselines, wanted_methods
from training.evaluation.evaluate import Evaluation, evaluate
from training.evaluation.report import EvaluationReport
from training.evaluation.request import EvaluationData
from training.evaluation.segments import user_segments
from training.evaluation.through_service import THROUGH_SERVICE, service_scorer
from training.evaluation.trained import (
    SEMANTIC,
    TRAINED,
    ModelInputs,
    check_same_split,
    model_settings,
    trained_methods,
    trained_text,
)
from training.run.dataset import BaseEncoder, item_texts
from training.splits.short_histories import ShortHistorySet, cut_histories, text_only

_COLD_EVENTS = (1, 3)
# Below this a table is said to be of few users.
_FEW_USERS = 100
_COLD_PROTOCOLS = ("cold-items", "warm-users")


@dataclass(frozen=True)
class EvaluationPlan:
    """Methods of an evaluation, and how they are made.

    Attributes:
        model: a model folder; None for the baselines alone.
        methods: names as --methods takes them; None for all.
        encoder: finds the base encoder; called only where items have texts and a method needs them.
        cache: folder of item vectors.
        seed: of the random method and the bootstrap.
        tuned: whether baselines get their settings on validation.
        service: opens a client of a gateway that stands beside the methods; None for none.
    """

    model: Path | None
    methods: str | None
    encoder: Callable[[], BaseEncoder]
    cache: Path
    seed: int
    tuned: bool
    service: Callable[[], AsyncClient] | None = None


def run_evaluation(data: EvaluationData, plan: EvaluationPlan, progress: Progress) -> EvaluationReport:
    """Fits the baselines, loads the model's methods and evaluates all of them on the same cases.

    Raises:
        SplitRefused: the model was trained on another split.
        ConfigurationError: `plan.methods` names a method that does not exist.
    """
    if plan.model is not None:
        check_same_split(plan.model, data.identity)
    trained_names = TRAINED if plan.model is not None else ()
    wanted = wanted_methods(plan.methods, (*BASELINES, *trained_names), (*USUAL, *trained_names))
    if set(wanted) & set(SEMANTIC):  # the model has one of them, named for how it was trained
        wanted = tuple(dict.fromkeys((*wanted, *SEMANTIC)))
    if not set(wanted) & set(trained_names):  # baselines alone are named: they stand beside the model's own methods
        wanted = (*wanted, *trained_names)
    split = data.split
    attributes = None if plan.model is None else trained_text(plan.model)
    texts = None if data.items is None else item_texts(data.items, attributes)
    has_text = texts is not None and any(text.strip() for text in texts)
    base = plan.encoder() if has_text and set(wanted) & {ZERO_SHOT, *TRAINED} else None
    cold = _cold_parts(data, texts) if split.protocol in _COLD_PROTOCOLS else []
    lines = [line for parts in cold for part in parts for line in part.texts or ()]

    def encode(folder: Path, words: Sequence[str], role: TextRole = TextRole.PASSAGE) -> np.ndarray:
        most = 256 if base is None else base.max_tokens
        return item_vectors(words, folder, most, plan.cache, progress, role=role)

    read = LineEncoder(partial(encode, role=TextRole.QUERY), lines).encode
    baselines = fit_baselines(split, wanted, progress, plan.seed, tuned=plan.tuned)
    methods = baselines.methods
    vectors = None
    if base is not None and texts is not None:
        progress.step(f"item vectors by {base.name}")
        vectors = encode(base.folder, texts)
        if ZERO_SHOT in wanted:
            methods[ZERO_SHOT] = ZeroShot(SemanticScorer.of(vectors), partial(read, base.folder))
    if plan.model is not None:
        items, folder = data.items, None if base is None else base.folder
        inputs = ModelInputs(split, items, vectors, texts if base else None, encode, read, folder)
        trained = trained_methods(plan.model, inputs)
        methods |= {name: method for name, method in trained.items() if name in wanted}
    if plan.service is not None:
        methods[THROUGH_SERVICE] = service_scorer(plan.service, split)
    context = EvaluationContext.of(split, vectors, plan.seed)
    table = evaluate(methods, split.protocol, split.tests, context, progress)
    tables = tuple(evaluate(methods, parts[0].name, parts, context, progress) for parts in cold)
    settings = dict(baselines.settings)
    if plan.model is not None:
        settings |= {name: words for name, words in model_settings(plan.model).items() if name in methods}
    segments = user_segments(table, split.tests, context.counts)
    return EvaluationReport(_facts(data, plan, base), table, tables, _cautions(table), settings, segments)


def _cautions(table: Evaluation) -> tuple[str, ...]:
    if table.user_count >= _FEW_USERS:
        return ()
    return (
        f"Caution: {table.user_count:,} users are few. Differences between methods may be chance; go by the intervals.",
    )


def _cold_parts(data: EvaluationData, texts: Sequence[str] | None) -> list[list[ShortHistorySet]]:
    """Returns the tests with the last event alone, the last three, and a line of text; a list has one set a draw."""
    tests = data.split.tests
    parts = [[cut_histories(part, count) for part in tests] for count in _COLD_EVENTS]
    if texts is not None or data.reviews:
        lines = texts if texts is not None else [""] * len(data.split.item_ids)
        parts.append([text_only(part, lines, TextTemplate(), data.reviews) for part in tests])
    return parts


def _facts(data: EvaluationData, plan: EvaluationPlan, base: BaseEncoder | None) -> dict[str, str]:
    facts = dict(data.facts)
    if base is not None:
        facts["encoder"] = base.name
    if plan.model is not None:
        facts["model"] = plan.model.name
    facts["baselines"] = "settings chosen on validation" if plan.tuned else "default settings"
    return facts
