"""Content vectors of items by an encoder folder, cached on disk: encoding ten thousand texts takes minutes."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.vectors import unit
from domain.durable import replaced
from domain.errors import StorageError
from domain.progress import Progress
from domain.prompts import TextRole, read_prompts

_BATCH_SIZE = 32
# Texts encoded between two lines of progress.
_CHUNK = 256
_FORMAT = "1"


def item_vectors(  # noqa: PLR0913 - a role that few callers pass
    texts: Sequence[str],
    encoder: Path,
    max_tokens: int,
    cache: Path,
    progress: Progress,
    *,
    role: TextRole = TextRole.PASSAGE,
) -> np.ndarray:
    """Returns float32[n, d], unit, one a text, from the cache where the same was encoded before; blocking.

    Args:
        texts: one an item; an empty text gets a zero vector.
        encoder: a sentence-transformers or Hugging Face folder.
        max_tokens: where a text is cut, as serving cuts it.
        cache: folder of earlier vectors.
        progress: hears how far it is.
        role: of the texts, which chooses among the folder's prompts: items' texts are passages.

    Raises:
        EncoderNotUsable: the folder cannot be loaded.
        StorageError: the cache cannot be written.
    """
    prompt = read_prompts(encoder).of(role)
    path = cache / f"{_digest([prompt + text for text in texts], encoder, max_tokens)}.npy"
    if path.is_file():
        vectors: np.ndarray = np.load(path, allow_pickle=False)
    else:
        vectors = _encoded(texts, encoder, max_tokens, prompt, progress)
        _keep(vectors, path)
    return vectors


def keep_item_vectors(vectors: np.ndarray, texts: Sequence[str], encoder: Path, max_tokens: int, cache: Path) -> None:
    """Puts float32[n, d], unit, into the cache: this encoder's vectors of the items' texts, computed elsewhere.

    Raises:
        StorageError: the cache cannot be written.
    """
    prompt = read_prompts(encoder).of(TextRole.PASSAGE)
    _keep(vectors, cache / f"{_digest([prompt + text for text in texts], encoder, max_tokens)}.npy")


def _encoded(texts: Sequence[str], encoder: Path, max_tokens: int, prompt: str, progress: Progress) -> np.ndarray:
    # Heavy, and not needed where the cache has the vectors.
    from training.encoder.folder import load_encoder

    model = load_encoder(encoder)
    model.max_seq_length = min(max_tokens, model.max_seq_length or max_tokens)
    filled = [place for place, text in enumerate(texts) if text.strip()]
    # Longest first: batches of like lengths, and running out of memory shows at once.
    filled.sort(key=lambda place: (-len(texts[place]), place))
    options: dict[str, Any] = {"batch_size": _BATCH_SIZE, "convert_to_numpy": True, "show_progress_bar": False}
    parts = []
    with progress.track("encoded item texts", len(filled), "texts") as advance:
        for start in range(0, len(filled), _CHUNK):
            chunk = [texts[place] for place in filled[start : start + _CHUNK]]
            parts.append(model.encode(chunk, prompt=prompt, **options))
            advance(len(chunk))
    width = model.get_embedding_dimension() or 0
    vectors = np.zeros((len(texts), width), np.float32)
    if parts:
        vectors[filled] = unit(np.concatenate(parts).astype(np.float32))
    return vectors


def _digest(texts: Sequence[str], encoder: Path, max_tokens: int) -> str:
    """Returns a digest of the texts and of every file of the encoder that can change a vector."""
    total = hashlib.sha256(f"{_FORMAT} {max_tokens}".encode())
    for path in sorted(encoder.rglob("*")):
        if path.is_file() and path.suffix in (".json", ".safetensors", ".txt", ".model"):
            with path.open("rb") as stream:
                total.update(path.relative_to(encoder).as_posix().encode())
                total.update(hashlib.file_digest(stream, "sha256").digest())
    for text in texts:
        total.update(text.encode() + b"\0")
    return total.hexdigest()[:32]


def _keep(vectors: np.ndarray, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, vectors)
    except OSError as error:
        raise StorageError(
            f"item vectors could not be written to {path.parent}: {error.strerror or error}; make room"
        ) from error
