"""Teacher's vectors of many texts, computed once and cached, so that a killed run continues."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from domain.durable import replaced
from domain.errors import EncoderNotUsable, StorageError
from domain.progress import Progress

Encode = Callable[[Sequence[str]], np.ndarray]

_TEXTS_AT_ONCE = 2_048


def teacher_vectors(encode: Encode, texts: Sequence[str], cache: Path | None, progress: Progress) -> np.ndarray:
    """Returns float32[n, d], unit, in the order of the texts.

    Args:
        encode: texts to float32[n, d].
        texts: what to encode.
        cache: folder that keeps finished pieces, one for each teacher; None keeps none.
        progress: hears how far it is.

    Raises:
        EncoderNotUsable: the teacher does not return a finite vector for each text.
        StorageError: a piece can't be written.
    """
    pieces = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        piece = texts[start : start + _TEXTS_AT_ONCE]
        kept = None if cache is None else cache / f"{_digest(piece)}.npy"
        vectors = _read(kept, len(piece))
        if vectors is None:
            vectors = _unit(encode(piece), len(piece))
            if kept is not None:
                _write(kept, vectors)
            progress.step(f"teacher: {start + len(piece)} of {len(texts)} texts")
        pieces.append(vectors)
    if not pieces:
        raise EncoderNotUsable("there are no texts to distil from; expected at least one")
    return np.concatenate(pieces)


def _unit(vectors: np.ndarray, count: int) -> np.ndarray:
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) != count:
        raise EncoderNotUsable(
            f"the teacher returned shape {list(vectors.shape)} for {count} texts, expected [{count}, d]"
        )
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(vectors).all() or (norms < 1e-6).any():
        raise EncoderNotUsable("the teacher returned a vector that is zero or not finite")
    return np.asarray(vectors / norms)


def _digest(texts: Sequence[str]) -> str:
    total = hashlib.sha256()
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        total.update(len(encoded).to_bytes(8, "big"))
        total.update(encoded)
    return total.hexdigest()


def _read(path: Path | None, count: int) -> np.ndarray | None:
    if path is None or not path.is_file():
        return None
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return None  # damaged: computed again
    return vectors if vectors.ndim == 2 and len(vectors) == count else None


def _write(path: Path, vectors: np.ndarray) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as temporary, temporary.open("wb") as file:
            np.save(file, vectors)
    except OSError as error:
        raise StorageError(
            f"{path} can't be written: {error.strerror}; free some space or give another folder"
        ) from error
