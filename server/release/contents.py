"""Reads the files of a verified release and checks that they fit one another."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.retrieval.hnsw_index import VectorIndex
from core.retrieval.lexical import LexicalIndex
from core.text.tokenize import TextTokenizer
from core.vectors import check_unit
from domain import release_folder as layout
from domain.errors import EncoderNotUsable, ReleaseRejected
from domain.release_folder import ReleaseFolder
from server.catalogue.item_table import ItemTable
from server.release.trained_contents import TrainedContents, read_trained


@dataclass(frozen=True)
class Canaries:
    """Texts whose vectors are known.

    Attributes:
        rows: int64[L_i] token ids of each text.
        vectors: float32[c, d], computed when the release was built.
    """

    rows: tuple[np.ndarray, ...]
    vectors: np.ndarray


@dataclass(frozen=True)
class ReleaseContents:
    """What a release holds, in memory.

    Attributes:
        tokenizer: text to the encoder's token ids.
        canaries: texts whose vectors are known.
        items: the catalogue by row.
        index: vectors and graph, row = label.
        lexical: shared words and characters.
        mean: float32[d], the catalogue's mean vector.
        unreadable_share: float32[n], how much of each item's text the encoder cannot read, 0 to 1.
        learned: what was trained besides the encoder.
    """

    tokenizer: TextTokenizer
    canaries: Canaries
    items: ItemTable
    index: VectorIndex
    lexical: LexicalIndex
    mean: np.ndarray
    unreadable_share: np.ndarray
    trained: TrainedContents


def read_contents(folder: ReleaseFolder) -> ReleaseContents:
    """Reads a release whose digests were verified; blocking.

    Raises:
        ReleaseRejected: a file cannot be read, or files do not fit one another.
    """
    manifest, path = folder.manifest, folder.path
    try:
        vectors = np.load(path / layout.VECTORS, allow_pickle=False)
        mean = np.load(path / layout.MEAN, allow_pickle=False)
        unreadable_share = np.load(path / layout.UNREADABLE_SHARE, allow_pickle=False)
        tokenizer = TextTokenizer(path / layout.TOKENIZER, manifest.encoder.max_tokens)
        canaries = _canaries(path / layout.CANARY, tokenizer)
        items = ItemTable(path / layout.ITEMS, manifest.attribute_types)
        lexical = LexicalIndex.load(path / layout.LEXICAL)
    except (OSError, ValueError, KeyError, EncoderNotUsable) as error:
        raise ReleaseRejected(f"{path}: {error}; build the release again") from error
    expected = {"vectors": (manifest.item_count, manifest.dimension), "mean": (manifest.dimension,)}
    expected["unreadable_share"] = expected["items"] = (manifest.item_count,)
    found = {
        "vectors": vectors.shape,
        "mean": mean.shape,
        "unreadable_share": unreadable_share.shape,
        "items": (len(items),),
    }
    if found != expected or vectors.dtype != np.float32:
        raise ReleaseRejected(f"{path}: the files hold {found}, but the manifest says {expected}; build it again")
    try:
        check_unit(vectors)
    except ValueError as error:
        raise ReleaseRejected(f"{path}: {error}; build it again") from error
    index = VectorIndex.load(path / layout.GRAPH, vectors, manifest.graph)
    trained = read_trained(folder, vectors, items.ids)
    return ReleaseContents(tokenizer, canaries, items, index, lexical, mean, unreadable_share, trained)


def read_canaries(folder: ReleaseFolder) -> Canaries:
    """Reads a verified release's canaries alone; blocking.

    Raises:
        ReleaseRejected: they, or the tokenizer, cannot be read.
    """
    try:
        tokenizer = TextTokenizer(folder.path / layout.TOKENIZER, folder.manifest.encoder.max_tokens)
        return _canaries(folder.path / layout.CANARY, tokenizer)
    except (OSError, ValueError, KeyError, EncoderNotUsable) as error:
        raise ReleaseRejected(f"{folder.path}: {error}; build the release again") from error


def _canaries(path: Path, tokenizer: TextTokenizer) -> Canaries:
    raw = json.loads(path.read_text(encoding="utf-8"))
    rows = tuple(text.ids for text in tokenizer.tokenize(raw["texts"]))
    return Canaries(rows, np.asarray(raw["vectors"], dtype=np.float32))
