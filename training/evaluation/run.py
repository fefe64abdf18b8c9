"""One evaluation from its question to its report: the rows, the table, and the table again for cold users."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from domain.progress import Progress
from domain.prompts import TextRole
from domain.text import TextTemplate
from training.encoder.item_vectors import item_vectors
from training.encoder.line_encoder import LineEncoder
from training.encoder.semantic import SemanticScorer
from training.evaluation.accumulator import EvaluationContext
from training.evaluation.baselines import BASELINES, USUAL, ZERO_SHOT, ZeroShot, baseline_rows, wanted_rows
from training.evaluation.evaluate import evaluate
from training.evaluation.report import EvaluationReport
from training.evaluation.request import Evaluation
from training.evaluation.trained import TRAINED, ModelInputs, check_same_split, trained_rows
from training.run.dataset import BaseEncoder, item_texts
from training.splits.short_histories import ShortHistorySet, cut_histories, text_only

_COLD_EVENTS = (1, 3)
_COLD_PROTOCOLS = ("cold-items", "warm-users")


@dataclass(frozen=True)
class EvaluationPlan:
    """Which rows are judged.

    Attributes:
        model: a model folder; None for the baselines alone.
        rows: names as --rows takes them; None for all.
        encoder: finds the base encoder; asked only where items have texts and a row needs them.
        cache: folder of item vectors.
        seed: of the random row and the bootstrap.
        tuned: whether baselines get their settings on validation.
    """

    model: Path | None
    rows: str | None
    encoder: Callable[[], BaseEncoder]
    cache: Path
    seed: int
    tuned: bool


def judge(question: Evaluation, plan: EvaluationPlan, progress: Progress) -> EvaluationReport:
    """Fits the baselines, loads the model's rows and asks all of them the same.

    Raises:
        SplitRefused: the model was trained on another split.
        ConfigurationError: a row is asked for that does not exist.
    """
    if plan.model is not None:
        check_same_split(plan.model, question.identity)
    trained_names = TRAINED if plan.model is not None else ()
    wanted = wanted_rows(plan.rows, (*BASELINES, *trained_names), (*USUAL, *trained_names))
    split = question.split
    texts = None if question.items is None else item_texts(question.items)
    told = texts is not None and any(text.strip() for text in texts)
    base = plan.encoder() if told and set(wanted) & {ZERO_SHOT, *TRAINED} else None
    cold = _cold_parts(question, texts) if split.protocol in _COLD_PROTOCOLS else []
    lines = [line for parts in cold for part in parts for line in part.texts or ()]

    def encode(folder: Path, asked: Sequence[str], role: TextRole = TextRole.PASSAGE) -> np.ndarray:
        most = 256 if base is None else base.max_tokens
        return item_vectors(asked, folder, most, plan.cache, progress, role=role)

    read = LineEncoder(partial(encode, role=TextRole.QUERY), lines).encode
    rows = baseline_rows(split, wanted, progress, plan.seed, tuned=plan.tuned)
    vectors = None
    if base is not None and texts is not None:
        progress.step(f"item vectors by {base.name}")
        vectors = encode(base.folder, texts)
        if ZERO_SHOT in wanted:
            rows[ZERO_SHOT] = ZeroShot(SemanticScorer.of(vectors), partial(read, base.folder))
    if plan.model is not None:
        items, folder = question.items, None if base is None else base.folder
        inputs = ModelInputs(split, items, vectors, texts if base else None, encode, read, folder)
        trained = trained_rows(plan.model, inputs)
        rows |= {name: row for name, row in trained.items() if name in wanted}
    setting = EvaluationContext.of(split, vectors, plan.seed)
    table = evaluate(rows, split.protocol, split.tests, setting, progress)
    tables = tuple(evaluate(rows, parts[0].name, parts, setting, progress) for parts in cold)
    return EvaluationReport(_facts(question, plan, base), table, tables)


def _cold_parts(question: Evaluation, texts: Sequence[str] | None) -> list[list[ShortHistorySet]]:
    """Returns the tests, one a draw, with the last event known, the last three, and a line of text."""
    tests = question.split.tests
    parts = [[cut_histories(part, count) for part in tests] for count in _COLD_EVENTS]
    if texts is not None or question.reviews:
        lines = texts if texts is not None else [""] * len(question.split.item_ids)
        parts.append([text_only(part, lines, TextTemplate(), question.reviews) for part in tests])
    return parts


def _facts(question: Evaluation, plan: EvaluationPlan, base: BaseEncoder | None) -> dict[str, str]:
    facts = dict(question.facts)
    if base is not None:
        facts["encoder"] = base.name
    if plan.model is not None:
        facts["model"] = plan.model.name
    facts["baselines"] = "settings chosen on validation" if plan.tuned else "default settings"
    return facts
