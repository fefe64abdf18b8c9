"""Distils an encoder into one with fewer of its layers: the same folder layout, so that export takes it unchanged.

The kept layers are initialised from the teacher's; gradient steps on whole texts and fragments then bring the student's
vectors, and its ranking of neighbours, closer to the teacher's. Word vectors stay the teacher's.
"""

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from core.text.tokenize import TextTokenizer, copy_tokenizer
from domain.errors import EncoderNotUsable, StorageError
from domain.progress import Progress
from training.distillation.fragments import sample_texts
from training.distillation.layer_training import LayerRun, LayerStudentSettings, LayerTrainingSet, encode_tokens
from training.distillation.similarity import TeacherSimilarity, measure_similarity
from training.distillation.teacher_vectors import teacher_vectors
from training.encoder.folder import load_encoder, prompts_of, tokenizer_file

_ENCODE_TOKENS = 4_096
_SAMPLE_SIZE = 64  # texts that the choice of layers looks at


@dataclass(frozen=True)
class LayerStudentResult:
    """A distilled encoder of fewer layers.

    Attributes:
        folder: the student, a sentence-transformers folder.
        layers: the teacher's layers that it began with.
        start: similarity on held-out texts before the first step.
        final: of what was kept.
        step_count: gradient steps.
        seconds: of gradient steps, over all runs.
    """

    folder: Path
    layers: tuple[int, ...]
    start: TeacherSimilarity
    final: TeacherSimilarity
    step_count: int
    seconds: float


def train_layer_student(  # noqa: PLR0913 - the orchestrator's shape
    teacher_folder: Path,
    texts: Sequence[str],
    folder: Path,
    settings: LayerStudentSettings | None = None,
    seed: int = 0,
    *,
    progress: Progress,
    checkpoint: Path | None = None,
    cache: Path | None = None,
) -> LayerStudentResult:
    """Distils a teacher of many layers into a student of few.

    Args:
        teacher_folder: of sentence-transformers or transformers.
        texts: item texts.
        folder: the student is written here, complete or not at all; what was there is replaced.
        settings: None for the defaults.
        seed: of fragments, held-out share, order.
        progress: hears of steps and metrics.
        checkpoint: file from which a killed training continues; None keeps none.
        cache: folder that keeps the teacher's vectors; None keeps none.

    Raises:
        EncoderNotUsable: the teacher can't be loaded, has no list of layers, or fewer than asked for.
        StorageError: a file can't be written.
    """
    settings = settings or LayerStudentSettings()
    torch.manual_seed(seed)
    teacher = load_encoder(teacher_folder).eval()
    _check_layers(len(_layers(teacher)), settings)
    tokenizer_path = tokenizer_file(teacher_folder)
    data = _training_set(teacher, tokenizer_path, texts, settings, seed, progress, cache)
    kept = choose_layers(teacher, data, settings)
    student = with_layers(teacher, kept)
    del teacher
    progress.step(f"layer student: initialised from the teacher's layers {', '.join(map(str, kept))}")
    run = LayerRun(student, data, settings, seed, progress, checkpoint)
    start, final = run.train()
    _save(student, tokenizer_path, folder)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return LayerStudentResult(folder, kept, start, final, run.step_count, run.seconds)


def choose_layers(
    teacher: SentenceTransformer, data: LayerTrainingSet, settings: LayerStudentSettings
) -> tuple[int, ...]:
    """Returns the layers to keep: those in the settings, else chosen by dropping one after the other.

    Each time the layer is dropped without which a sample of texts stays nearest to the teacher's vectors. Measured on
    all-MiniLM-L6-v2, three of six: layers 0, 4 and 5 have cosine .67 before any training, every second layer .46.

    Raises:
        EncoderNotUsable: there are no such layers.
    """
    count = len(_layers(teacher))
    _check_layers(count, settings)
    if settings.layers:
        return settings.layers
    sample = range(min(len(data.token_ids), _SAMPLE_SIZE))
    token_ids, targets = [data.token_ids[place] for place in sample], data.targets[: len(sample)]

    def nearness(kept: tuple[int, ...]) -> float:
        vectors = encode_tokens(with_layers(teacher, kept), token_ids, _ENCODE_TOKENS)
        return measure_similarity(vectors, targets).cosine

    kept = tuple(range(count))
    while len(kept) > settings.layer_count:
        choices = [tuple(other for other in kept if other != left_out) for left_out in kept]
        kept = max(choices, key=nearness)
    return kept


def _check_layers(count: int, settings: LayerStudentSettings) -> None:
    wanted = settings.layers or tuple(range(settings.layer_count))
    fitting = len(set(wanted)) == len(wanted) and all(0 <= number < count for number in wanted)
    if not fitting or not 1 <= len(wanted) < count:
        raise EncoderNotUsable(
            f"a student with {len(wanted)} layers ({list(settings.layers) or 'any'}) can't be made of a teacher with "
            f"{count}; choose 1 to {count - 1} of the layers 0 to {count - 1}"
        )


def with_layers(teacher: SentenceTransformer, kept: Sequence[int]) -> SentenceTransformer:
    """Returns a copy of the encoder with these layers only."""
    student = copy.deepcopy(teacher)
    layers = _layers(student)
    remaining = [layers[number] for number in kept]
    del layers[:]
    layers.extend(remaining)
    config = _transformer(student).config
    for name in ("num_hidden_layers", "n_layers"):
        if hasattr(config, name):
            setattr(config, name, len(kept))
            break
    return student


def _transformer(model: SentenceTransformer) -> torch.nn.Module:
    return model[0].auto_model


def _layers(model: SentenceTransformer) -> torch.nn.ModuleList:
    inner = _transformer(model)
    for path in ("encoder.layer", "transformer.layer", "layers"):
        try:
            layers_found = inner.get_submodule(path)
        except AttributeError:
            continue
        if isinstance(layers_found, torch.nn.ModuleList):
            return layers_found
    raise EncoderNotUsable(
        f"{type(inner).__name__} has no list of layers known here; supported: BERT and its relatives, for example "
        "RoBERTa, MPNet, DistilBERT, ModernBERT"
    )


def _training_set(  # noqa: PLR0913, PLR0917 - one caller
    teacher: SentenceTransformer,
    tokenizer_path: Path,
    texts: Sequence[str],
    settings: LayerStudentSettings,
    seed: int,
    progress: Progress,
    cache: Path | None,
) -> LayerTrainingSet:
    sample = sample_texts(texts, settings.fragments_per_text, settings.most_texts, settings.held_out, seed)
    tokenizer, prompt = TextTokenizer(tokenizer_path, settings.max_tokens), prompts_of(teacher).passage

    def read(some: Sequence[str]) -> list[np.ndarray]:
        return [tokenized.ids for tokenized in tokenizer.tokenize(some, prompt)]

    def encode(some: Sequence[str]) -> np.ndarray:
        return encode_tokens(teacher, read(some), _ENCODE_TOKENS)

    targets = teacher_vectors(encode, sample.texts, cache, progress)
    return LayerTrainingSet(read(sample.texts), targets, sample.held_out)


def _save(student: SentenceTransformer, tokenizer_path: Path, folder: Path) -> None:
    unfinished = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        student.float().save(str(unfinished), create_model_card=False)
        # The teacher's own file, byte for byte: a file that a library writes may cut or pad otherwise.
        written = sorted(unfinished.glob("tokenizer.json")) or sorted(unfinished.glob("*/tokenizer.json"))
        copy_tokenizer(tokenizer_path, written[0])
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise StorageError(f"{folder} can't be written: {error.strerror}; free some space") from error
