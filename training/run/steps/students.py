"""Student steps: a static table that replaces the encoder while it is unavailable, and an encoder of fewer layers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.events import EventSequence
from core.text.encoder_card import write_languages
from domain.prompts import TextRole, read_prompts
from training.distillation.static_fit import StaticStudentSettings
from training.distillation.static_student import train_static_student
from training.distillation.student_encoder import (
    StudentEncoderSettings,
    StudentInputs,
    encoder_of,
    train_student_encoder,
)
from training.distillation.teacher_vectors import Encode
from training.encoder.folder import tokenizer_file
from training.encoder.semantic import SemanticScorer
from training.run.dataset import TrainingData
from training.run.folder import StepRecord
from training.run.item_facts import item_facts
from training.splits.validation import validation_ndcg

STUDENT = "student"
STUDENT_ENCODER = "student_encoder"


@dataclass(frozen=True)
class StudentSettings:
    """Settings of the static student.

    Attributes:
        least_kept: share of the teacher's NDCG@100 on validation that its histories, searching the teacher's items,
            must reach to be accepted.
        static: the distillation.
    """

    least_kept: float = 0.8
    static: StaticStudentSettings = field(default_factory=StaticStudentSettings)


class StudentStep:
    """Step that writes `student/`, which the gateway uses while Triton is unavailable, if it is accepted."""

    name = STUDENT
    outputs = (STUDENT,)
    uses = ("encoder",)

    def __init__(self, settings: StudentSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Returns why there is no text to distil from; empty where there is."""
        return "" if data.encoder is not None else "no item has a text"

    def settings(self, data: TrainingData) -> StudentSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Distils from item texts, and evaluates by histories that search the teacher's items."""
        teacher, texts = _Teacher(data), data.texts
        assert texts is not None
        student = train_static_student(
            teacher.encode,
            tokenizer_file(teacher.folder),
            texts,
            self._settings.static,
            data.seed,
            progress=data.progress,
            cache=work / "teacher_vectors",
        )
        teacher_ndcg, student_ndcg = _scores(data, teacher.items, student.encoder().encode(texts))
        final = student.result.final
        accepted = student_ndcg >= self._settings.least_kept * teacher_ndcg
        if accepted:
            student.save(work / STUDENT)
        metrics = {
            "ndcg_at_100": student_ndcg,
            "teacher_ndcg_at_100": teacher_ndcg,
            "held_out_cosine": final.cosine,
            "held_out_overlap_at_10": final.overlap_at_10,
        }
        return StepRecord(0, "", accepted, metrics, [f"{student.result.fragment_count:,} fragments beside the texts"])


class StudentEncoderStep:
    """Step that writes `student_encoder/`, which a release can be built with by --encoder, if it is accepted."""

    name = STUDENT_ENCODER
    outputs = (STUDENT_ENCODER,)
    uses = ("encoder",)

    def __init__(self, settings: StudentEncoderSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Returns why there is no text to distil from; empty where there is."""
        return "" if data.encoder is not None else "no item has a text"

    def settings(self, data: TrainingData) -> StudentEncoderSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Distils from item texts, and evaluates by histories and items encoded by the student alone."""
        teacher, texts = _Teacher(data), data.texts
        assert texts is not None
        folder = work / STUDENT_ENCODER
        split = data.split if teacher.trained else None
        inputs = StudentInputs(teacher.folder, texts, texts, teacher.max_tokens, split, work)
        student = train_student_encoder(inputs, folder, self._settings, data.seed, data.progress)
        write_languages(folder, teacher.languages)
        vectors = student.vectors.copy()
        vectors[~teacher.items.any(axis=1)] = 0  # an empty text
        teacher_ndcg, _ = _scores(data, teacher.items, vectors)
        student_ndcg = validation_ndcg(SemanticScorer.of(vectors), data.split.validation)
        metrics = {
            "ndcg_at_100": student_ndcg,
            "teacher_ndcg_at_100": teacher_ndcg,
            "held_out_cosine": student.layers.final.cosine,
            "held_out_overlap_at_10": student.layers.final.overlap_at_10,
        }
        accepted = student_ndcg >= self._settings.least_kept * teacher_ndcg
        if not accepted:
            folder.rename(work / "refused")
        notes = [
            f"initialised from layers {', '.join(map(str, student.layers.layers))}",
            *filter(None, [student.projection]),
        ]
        return StepRecord(0, "", accepted, metrics, notes)


class _Teacher:
    """The run's encoder where one was accepted, else the base."""

    def __init__(self, data: TrainingData) -> None:
        base, trained = data.encoder, data.out / "encoder"
        assert base is not None
        self.trained = (trained / "modules.json").is_file()
        self.folder = trained if self.trained else base.folder
        self.max_tokens = base.max_tokens
        self.languages = base.languages
        vectors = item_facts(data).vectors
        assert vectors is not None and data.texts is not None
        self.items = vectors
        prompts = read_prompts(self.folder)
        # The student replaces the encoder where users' texts are read, so it is trained on queries.
        same = prompts.query == prompts.passage
        self._known = dict(zip(data.texts, vectors, strict=True)) if same else {}
        self._encode: Encode | None = None

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[n, d], unit, encoded as queries; items' texts are known where both prompts are the same."""
        missing = [text for text in texts if text not in self._known]
        if missing:
            self._encode = self._encode or encoder_of(self.folder, self.max_tokens, TextRole.QUERY)
        encoded = iter(self._encode(missing) if missing and self._encode else ())
        return np.stack([self._known[text] if text in self._known else next(encoded) for text in texts])


@dataclass(frozen=True)
class _StudentQueries:
    """Scorer whose queries are by the student and whose items are by the teacher."""

    student: SemanticScorer
    items: np.ndarray

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        return np.asarray(self.student.queries(histories) @ self.items.T)


def _scores(data: TrainingData, teacher: np.ndarray, student: np.ndarray) -> tuple[float, float]:
    """Returns validation NDCG@100 of the teacher, and of the student's queries on the teacher's items."""
    part = data.split.validation
    queries = _StudentQueries(SemanticScorer.of(student), teacher)
    return validation_ndcg(SemanticScorer.of(teacher), part), validation_ndcg(queries, part)
