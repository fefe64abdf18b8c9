"""Students of the encoder: a table that stands in for it while it is away, and an encoder with fewer layers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.events import EventSequence
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
    """How the static student is made.

    Attributes:
        least_kept: it is kept where its histories, searching the teacher's items, reach this share of the teacher's
            own NDCG@100 on validation.
        static: the distillation.
    """

    least_kept: float = 0.8
    static: StaticStudentSettings = field(default_factory=StaticStudentSettings)


class StudentStep:
    """Writes `student/`, which the gateway asks while Triton is away, if it was accepted."""

    name = STUDENT
    outputs = (STUDENT,)
    uses = ("encoder",)

    def __init__(self, settings: StudentSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Needs texts."""
        return "" if data.encoder is not None else "no item has a text"

    def settings(self, data: TrainingData) -> StudentSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Distils from item texts, and judges by histories that search the teacher's items."""
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
        theirs, own = _scores(data, teacher.items, student.encoder().encode(texts))
        final = student.result.final
        accepted = own >= self._settings.least_kept * theirs
        if accepted:
            student.save(work / STUDENT)
        figures = {
            "ndcg_at_100": own,
            "teacher_ndcg_at_100": theirs,
            "held_out_cosine": final.cosine,
            "held_out_overlap_at_10": final.overlap_at_10,
        }
        return StepRecord(0, "", accepted, figures, [f"{student.result.fragment_count:,} fragments beside the texts"])


class StudentEncoderStep:
    """Writes `student_encoder/`, an encoder of its own that a release can be built with, if it was accepted."""

    name = STUDENT_ENCODER
    outputs = (STUDENT_ENCODER,)
    uses = ("encoder",)

    def __init__(self, settings: StudentEncoderSettings) -> None:
        self._settings = settings

    def applies(self, data: TrainingData) -> str:
        """Needs texts."""
        return "" if data.encoder is not None else "no item has a text"

    def settings(self, data: TrainingData) -> StudentEncoderSettings:
        """Returns the settings."""
        return self._settings

    def make(self, data: TrainingData, work: Path) -> StepRecord:
        """Distils from item texts, and judges by histories and items told by the student alone."""
        teacher, texts = _Teacher(data), data.texts
        assert texts is not None
        folder = work / STUDENT_ENCODER
        split = data.split if teacher.trained else None
        schooling = StudentInputs(teacher.folder, texts, texts, teacher.max_tokens, split, work)
        student = train_student_encoder(schooling, folder, self._settings, data.seed, data.progress)
        vectors = student.vectors.copy()
        vectors[~teacher.items.any(axis=1)] = 0  # a text that says nothing
        theirs, _ = _scores(data, teacher.items, vectors)
        own = validation_ndcg(SemanticScorer.of(vectors), data.split.validation)
        figures = {
            "ndcg_at_100": own,
            "teacher_ndcg_at_100": theirs,
            "held_out_cosine": student.layers.final.cosine,
            "held_out_overlap_at_10": student.layers.final.overlap_at_10,
        }
        accepted = own >= self._settings.least_kept * theirs
        if not accepted:
            folder.rename(work / "refused")
        notes = [f"began as layers {', '.join(map(str, student.layers.layers))}", *filter(None, [student.map])]
        return StepRecord(0, "", accepted, figures, notes)


class _Teacher:
    """The run's own encoder where one was accepted, else the base."""

    def __init__(self, data: TrainingData) -> None:
        base, own = data.encoder, data.out / "encoder"
        assert base is not None
        self.trained = (own / "modules.json").is_file()
        self.folder = own if self.trained else base.folder
        self.max_tokens = base.max_tokens
        vectors = item_facts(data).vectors
        assert vectors is not None and data.texts is not None
        self.items = vectors
        prompts = read_prompts(self.folder)
        # The student stands in for the encoder where users' texts are read, so it learns these as queries.
        same = prompts.query == prompts.passage
        self._known = dict(zip(data.texts, vectors, strict=True)) if same else {}
        self._encode: Encode | None = None

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[n, d], unit, as of queries; items' own texts were encoded before where that is the same."""
        missing = [text for text in texts if text not in self._known]
        if missing:
            self._encode = self._encode or encoder_of(self.folder, self.max_tokens, TextRole.QUERY)
        found = iter(self._encode(missing) if missing and self._encode else ())
        return np.stack([self._known[text] if text in self._known else next(found) for text in texts])


@dataclass(frozen=True)
class _StudentQueries:
    """Histories told by the student search the teacher's items."""

    student: SemanticScorer
    items: np.ndarray

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        return np.asarray(self.student.queries(histories) @ self.items.T)


def _scores(data: TrainingData, teacher: np.ndarray, student: np.ndarray) -> tuple[float, float]:
    """Returns validation NDCG@100 of the teacher, and of the student's queries on the teacher's items."""
    part = data.split.validation
    queries = _StudentQueries(SemanticScorer.of(student), teacher)
    return validation_ndcg(SemanticScorer.of(teacher), part), validation_ndcg(queries, part)
