"""Student encoder of fewer layers, served in its teacher's place.

A teacher that was trained here is a transformer with a projection above it that partly whitens: it amplifies the small
components of a vector, in which a student of half the layers errs most. So only the transformer is distilled, and a
projection is fitted to the student's vectors, from the same interactions.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from core.text.tokenize import TextTokenizer, copy_tokenizer
from domain.errors import StorageError
from domain.progress import Progress
from domain.prompts import TextRole
from training.distillation.layer_student import LayerStudentResult, train_layer_student
from training.distillation.layer_training import LayerStudentSettings, encode_tokens
from training.distillation.teacher_vectors import Encode
from training.encoder.contrastive import ContrastiveSettings
from training.encoder.folder import base_modules, load_encoder, prompts_of, rebuilt, tokenizer_file
from training.encoder.train import EncoderInputs, EncoderSettings, train_encoder
from training.splits.split import Split

_TOKENS_AT_ONCE = 4_096


@dataclass(frozen=True)
class StudentEncoderSettings:
    """Settings of the student of fewer layers.

    Attributes:
        least_kept: share of the teacher's NDCG@100 on validation that it must reach by itself to be accepted.
        layers: the distillation.
        projection: of the student, where the teacher has one; as wide as the teacher's.
    """

    least_kept: float = 0.95
    layers: LayerStudentSettings = field(default_factory=LayerStudentSettings)
    projection: EncoderSettings = field(default_factory=lambda: EncoderSettings(contrastive=ContrastiveSettings("off")))


@dataclass(frozen=True)
class StudentInputs:
    """Teacher and texts that a student encoder is made from.

    Attributes:
        teacher: folder of the encoder.
        texts: one an item; empty where an item has none.
        training_texts: texts that the distillation may read.
        max_tokens: where texts are cut.
        split: from which a projection is fitted; None where the teacher has none.
        work: folder of the checkpoint and the teacher's vectors.
    """

    teacher: Path
    texts: Sequence[str]
    training_texts: Sequence[str]
    max_tokens: int
    split: Split | None
    work: Path


@dataclass(frozen=True)
class StudentEncoder:
    """A distilled encoder with its item vectors.

    Attributes:
        layers: of the distillation.
        vectors: float32[n, d], unit: of all items' texts; zero for an empty one.
        projection: the choice as text; empty without a projection.
    """

    layers: LayerStudentResult
    vectors: np.ndarray
    projection: str


def train_student_encoder(
    inputs: StudentInputs, folder: Path, settings: StudentEncoderSettings, seed: int, progress: Progress
) -> StudentEncoder:
    """Distils an encoder into one of fewer layers and writes it to a folder, complete or not at all.

    Raises:
        EncoderNotUsable: the teacher can't be loaded, has no list of layers, or fewer than asked for.
        NothingToLearnFrom: a projection is needed, and too few items have a text or interactions.
        StorageError: a file can't be written.
    """
    work, split = inputs.work, inputs.split
    layers = replace(settings.layers, max_tokens=min(settings.layers.max_tokens, inputs.max_tokens))
    result = train_layer_student(
        inputs.teacher if split is None else _without_projection(inputs.teacher, work / "base"),
        inputs.training_texts,
        folder,
        layers,
        seed,
        progress=progress,
        checkpoint=work / "layer_student.pt",
        cache=work / "teacher_vectors",
    )
    vectors = _vectors(folder, inputs)
    if split is None:
        return StudentEncoder(result, vectors, "")
    encoder_inputs = EncoderInputs(inputs.texts, vectors, folder, inputs.max_tokens, split)
    width = load_encoder(inputs.teacher).get_embedding_dimension() or 0
    projected = train_encoder(encoder_inputs, replace(settings.projection, dimension=width), seed, progress)
    projected.save(folder)
    return StudentEncoder(result, projected.vectors, str(projected.choice))


def encoder_of(folder: Path, max_tokens: int, role: TextRole = TextRole.PASSAGE) -> Encode:
    """Returns a function that encodes texts as a release and its gateway do: cut, tokenised, prompted by their role.

    Raises:
        EncoderNotUsable: the folder can't be loaded.
    """
    model, tokenizer = load_encoder(folder), TextTokenizer(tokenizer_file(folder), max_tokens)
    prompt = prompts_of(model).of(role)

    def encode(texts: Sequence[str]) -> np.ndarray:
        return encode_tokens(model, [tokenized.ids for tokenized in tokenizer.tokenize(texts, prompt)], _TOKENS_AT_ONCE)

    return encode


def _vectors(folder: Path, inputs: StudentInputs) -> np.ndarray:
    vectors = encoder_of(folder, inputs.max_tokens)(inputs.texts)
    vectors[[not text.strip() for text in inputs.texts]] = 0
    return vectors


def _without_projection(teacher: Path, folder: Path) -> Path:
    """Writes the transformer of a trained encoder without its projection."""
    model = load_encoder(teacher)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        rebuilt(model, base_modules(model)).save(str(folder), create_model_card=False)
        # Byte for byte: a file that a library writes may cut or pad otherwise.
        copy_tokenizer(tokenizer_file(teacher), tokenizer_file(folder))
    except OSError as error:
        raise StorageError(f"{folder} can't be written: {error.strerror}; free some space") from error
    return folder
