"""A release whose items are asked of Milvus."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.retrieval.semantic import SemanticHistorySource, SemanticTextSource
from core.retrieval.source import RecallSource
from domain.errors import ConfigurationError, StorageError
from domain.item import Item
from domain.recommendation import Source
from server.release.data import ReleaseData
from server.release.live_release import LiveRelease

_ROWS_AT_ONCE = 1_000


def over_milvus(release: LiveRelease, uri: str, token_file: Path | None) -> LiveRelease:
    """Returns a release over a collection of its items, which is made where Milvus does not have it; blocking.

    Args:
        release: loaded.
        uri: of a Milvus, or a file of milvus-lite.
        token_file: with a token, or USER:PASSWORD; None for none.

    Raises:
        ConfigurationError: pymilvus is not installed, or the token cannot be read.
        StorageError: Milvus does not answer, or refuses.
    """
    try:
        from pymilvus import MilvusClient, MilvusException

        from server.milvus.catalogue import MilvusCatalogue, fill
    except ImportError as error:
        raise ConfigurationError("milvus needs pymilvus; install the extra: pip install -e '.[milvus]'") from error
    try:
        token = "" if token_file is None else token_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"milvus_token_file cannot be read: {error}") from error
    data = release.data
    # An id has letters, digits and "-"; a collection's name has no "-".
    name = f"shortlist_{release.release_id}".replace("-", "_")
    try:
        client = MilvusClient(uri=uri, token=token)
    except MilvusException as error:
        raise StorageError(f"Milvus at {uri} does not answer: {error.message}") from error
    fill(client, name, _items(release), len(data.items), data.manifest.dimension)
    catalogue = MilvusCatalogue(
        client, name, data.items.ids, data.items.unavailable, data.mean, data.items.attribute_types
    )
    instead: dict[str, RecallSource] = {
        Source.SEMANTIC_TEXT.value: SemanticTextSource(catalogue),
        Source.SEMANTIC_HISTORY.value: SemanticHistorySource(catalogue),
    }
    sources = tuple(instead.get(source.name, source) for source in release.sources)
    return replace(release, catalogue=catalogue, sources=replace(release.sources, sources=sources))


def _items(release: LiveRelease) -> Iterator[tuple[Item, np.ndarray]]:
    data: ReleaseData = release.data
    for start in range(0, len(data.items), _ROWS_AT_ONCE):
        rows = range(start, min(start + _ROWS_AT_ONCE, len(data.items)))
        vectors = release.catalogue.vectors_of(list(rows))
        yield from ((data.items.item(row), vector) for row, vector in zip(rows, vectors, strict=True))
