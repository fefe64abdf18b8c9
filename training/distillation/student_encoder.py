"""An encoder of fewer layers, served in its teacher's place.

A teacher that was trained here is a transformer with a map upon it, and the map partly whitens: it makes long what the
transformer says quietly, which a student of half the layers gets wrong first. So only the transformer is distilled, and
a map is fitted to the vectors of the student, from the same interactions.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from core.text.tokenize import TextTokenizer
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
    """How the student of fewer layers is made.

    Attributes:
        least_kept: it is kept where it reaches this share of the teacher's NDCG@100 on validation by itself.
        layers: the distillation.
        map: what is put upon it where the teacher has a map, as wide as the teacher's.
    """

    least_kept: float = 0.95
    layers: LayerStudentSettings = field(default_factory=LayerStudentSettings)
    map: EncoderSettings = field(default_factory=lambda: EncoderSettings(contrastive=ContrastiveSettings("off")))


@dataclass(frozen=True)
class StudentInputs:
    """What a student encoder is made from.

    Attributes:
        teacher: folder of the encoder.
        texts: one an item; empty where an item has none.
        lesson: texts that the distillation may read.
        max_tokens: where texts are cut.
        split: from which a map is learned; None leaves the student without one, like its teacher.
        work: folder for what is kept between runs: checkpoint, the teacher's vectors.
    """

    teacher: Path
    texts: Sequence[str]
    lesson: Sequence[str]
    max_tokens: int
    split: Split | None
    work: Path


@dataclass(frozen=True)
class StudentEncoder:
    """What came out.

    Attributes:
        layers: of the distillation.
        vectors: float32[n, d], unit: of all items' texts; zero for an empty one.
        map: that was chosen, in words; empty without one.
    """

    layers: LayerStudentResult
    vectors: np.ndarray
    map: str


def train_student_encoder(
    schooling: StudentInputs, folder: Path, settings: StudentEncoderSettings, seed: int, progress: Progress
) -> StudentEncoder:
    """Distils an encoder into one of fewer layers and writes it to a folder, complete or not at all.

    Raises:
        EncoderNotUsable: the teacher can't be loaded, has no list of layers, or fewer than asked for.
        NothingToLearnFrom: a map is wanted, and too few items have a text or choosers.
        StorageError: a file can't be written.
    """
    work, split = schooling.work, schooling.split
    layers = replace(settings.layers, max_tokens=min(settings.layers.max_tokens, schooling.max_tokens))
    result = train_layer_student(
        schooling.teacher if split is None else _without_map(schooling.teacher, work / "base"),
        schooling.lesson,
        folder,
        layers,
        seed,
        progress=progress,
        checkpoint=work / "layer_student.pt",
        cache=work / "teacher_vectors",
    )
    vectors = _vectors(folder, schooling)
    if split is None:
        return StudentEncoder(result, vectors, "")
    inputs = EncoderInputs(schooling.texts, vectors, folder, schooling.max_tokens, split)
    width = load_encoder(schooling.teacher).get_embedding_dimension() or 0
    mapped = train_encoder(inputs, replace(settings.map, dimension=width), seed, progress)
    mapped.save(folder)
    return StudentEncoder(result, mapped.vectors, str(mapped.choice))


def encoder_of(folder: Path, max_tokens: int, role: TextRole = TextRole.PASSAGE) -> Encode:
    """Returns what encodes texts as a release and its gateway do: cut, tokenised, prompted by their role.

    Raises:
        EncoderNotUsable: the folder can't be loaded.
    """
    model, tokenizer = load_encoder(folder), TextTokenizer(tokenizer_file(folder), max_tokens)
    prompt = prompts_of(model).of(role)

    def encode(texts: Sequence[str]) -> np.ndarray:
        return encode_tokens(model, [tokenized.ids for tokenized in tokenizer.tokenize(texts, prompt)], _TOKENS_AT_ONCE)

    return encode


def _vectors(folder: Path, schooling: StudentInputs) -> np.ndarray:
    vectors = encoder_of(folder, schooling.max_tokens)(schooling.texts)
    vectors[[not text.strip() for text in schooling.texts]] = 0
    return vectors


def _without_map(teacher: Path, folder: Path) -> Path:
    """Writes the transformer of a trained encoder by itself."""
    model = load_encoder(teacher)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        rebuilt(model, base_modules(model)).save(str(folder), create_model_card=False)
        # Byte for byte: what a library writes anew may cut or pad otherwise.
        shutil.copyfile(tokenizer_file(teacher), tokenizer_file(folder))
    except OSError as error:
        raise StorageError(f"{folder} can't be written: {error.strerror}; free some space") from error
    return folder
