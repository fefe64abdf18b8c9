"""Release manifest: contents and origin of a release, so that it can be checked before use."""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.errors import ReleaseRejected
from domain.item import AttributeType
from domain.manifest_ranges import check_ranges
from domain.text import TextTemplate

# Version 5: words in an index by fields, calibrated relevance, the languages of the encoder. Releases of another
# version are built again, never converted.
SCHEMA_VERSION = 5

# Number formats that an encoder's file is served in.
FLOAT32 = "float32"
FLOAT16 = "float16"
INT8 = "int8"
PRECISIONS = (FLOAT32, FLOAT16, INT8)


@dataclass(frozen=True)
class FileEntry:
    """One file of the release.

    Attributes:
        sha256: lower-case hexadecimal digest.
        size_bytes: its length.
    """

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class EncoderEntry:
    """The encoder whose vectors the release holds.

    Attributes:
        name: what the user called it.
        source_sha256: digest of the files it was exported from.
        triton_model: name of the Triton model that serves it.
        file: its ONNX file in the release.
        max_tokens: longest input, special tokens included.
        max_batch_size: most rows in one call.
        pad_token_id: id used for padding.
        parity_worst_cosine: smallest cosine that the export gate saw: of float32 to torch, of another precision to
            float32.
        family: its architecture in the words of transformers, for example "bert".
        pooling: how token vectors become one: "mean", "cls" or "last".
        query_prompt: put before users' texts and histories; empty for none.
        passage_prompt: put before the items' texts; empty for none.
        precision: of the served file: "float32", "float16" or "int8".
        languages: that it reads, BCP 47 primary tags such as "en"; empty where nobody said: no text is flagged.
    """

    name: str
    source_sha256: str
    triton_model: str
    file: str
    max_tokens: int
    max_batch_size: int
    pad_token_id: int
    parity_worst_cosine: float
    family: str = "bert"
    pooling: str = "mean"
    query_prompt: str = ""
    passage_prompt: str = ""
    precision: str = "float32"
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class GraphEntry:
    """The HNSW graph.

    Attributes:
        m: links per node.
        ef_construction: beam width while building.
        ef_search: beam width for queries.
        recall_at_10: share of the exact ten nearest that the graph found at `ef_search`.
        recall_query_count: over how many queries that was measured.
    """

    m: int
    ef_construction: int
    ef_search: int
    recall_at_10: float
    recall_query_count: int


@dataclass(frozen=True)
class TextEntry:
    """Counts of the items' texts as the tokenizer reads them.

    Attributes:
        unknown_token_share: share of all item tokens that the vocabulary does not know.
        truncated_item_count: items whose text was cut to the encoder's limit.
        indistinct_item_count: items that have the same token ids as an item with another text: their vectors are equal
            although they differ.
        unreadable_item_count: items whose text the encoder cannot read (at the default limit of 0.3): they are found by
            shared words only.
        foreign_item_count: items whose own text is surely in a language that the encoder's entry does not name: their
            vectors say little. Languages of Latin script alone are compared; 0 where no languages are named.
    """

    unknown_token_share: float
    truncated_item_count: int
    indistinct_item_count: int
    unreadable_item_count: int
    foreign_item_count: int


@dataclass(frozen=True)
class ModelEntry:
    """A trained model on Triton besides the encoder: the user tower or the ranker.

    Attributes:
        file: its ONNX file in the release.
        triton_model: name of the Triton model that serves it.
        source_sha256: digest of the weights it was exported from.
        input_width: length of the vectors it takes: content vectors for a user tower, features for a ranker.
        output_width: length of the vector it gives, or 1 for a score.
        max_length: most events of a history, or candidates of a request, in one row.
        max_batch_size: most rows in one call.
        feature_names: names of the features in their order; empty where it takes none.
        parity_worst_difference: largest difference to torch that the export gate saw.
    """

    file: str
    triton_model: str
    source_sha256: str
    input_width: int
    output_width: int
    max_length: int
    max_batch_size: int
    feature_names: tuple[str, ...]
    parity_worst_difference: float


@dataclass(frozen=True)
class Manifest:
    """Description of a release.

    Attributes:
        schema_version: of this manifest; a program refuses every other than its own.
        release_id: also the name of the folder.
        created: RFC 3339, UTC.
        item_count: number of items, rows of `vectors.npy` and labels of the graph.
        available_count: items that may be recommended.
        dimension: length of a vector.
        encoder: the encoder of the vectors.
        graph: the index over them.
        text: the items' texts as the tokenizer reads them.
        template: makes an item's text.
        attribute_types: type of every attribute.
        files: digest and size of every file but this one, by path inside the release.
        quality: metrics that the release was accepted with.
        parents: ids of releases this one was made from.
        built_with: versions of the libraries that made it.
        models: trained models besides the encoder, by the names `user_tower` and `ranker`.
        thresholds: least score of a candidate in a recall source (alpha), by the source's name.
        quality_protocol: protocol by which `quality` was measured; empty where it was not.
        pinyin: whether Chinese titles and values are found by their pinyin.
    """

    schema_version: int
    release_id: str
    created: str
    item_count: int
    available_count: int
    dimension: int
    encoder: EncoderEntry
    graph: GraphEntry
    text: TextEntry
    template: TextTemplate
    attribute_types: Mapping[str, AttributeType]
    files: Mapping[str, FileEntry]
    quality: Mapping[str, float] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    built_with: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, ModelEntry] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    quality_protocol: str = ""
    pinyin: bool = False


def manifest_to_json(manifest: Manifest) -> str:
    """Returns the manifest as indented JSON."""
    return json.dumps(dataclasses.asdict(manifest), indent=2, ensure_ascii=False) + "\n"


def manifest_from_json(text: str) -> Manifest:
    """Reads a manifest.

    Raises:
        ReleaseRejected: the text is not a manifest, or one of another schema version.
    """
    try:
        raw = json.loads(text)
        version = raw["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReleaseRejected(f"manifest.json is not a release manifest ({error}); build the release again") from error
    if version != SCHEMA_VERSION or not isinstance(version, int):
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        advice = "update Shortlist, or build the release again with this one" if newer else "build the release again"
        raise ReleaseRejected(
            f"the release has schema version {version}, this program reads {SCHEMA_VERSION} only; {advice}"
        )
    try:
        manifest: Manifest = _decode(Manifest, raw, "manifest")
        check_ranges(manifest, PRECISIONS)
    except (ValueError, TypeError, OverflowError) as error:
        raise ReleaseRejected(f"manifest.json is damaged: {error}; build the release again") from error
    return manifest


def _decode(kind: Any, raw: Any, where: str) -> Any:  # noqa: ANN401 -- JSON is untyped
    """Builds a value of the annotated type from plain JSON; every field is required and none may be unknown."""
    if dataclasses.is_dataclass(kind):
        if not isinstance(raw, dict):
            raise ValueError(f"{where} must be an object")
        hints = typing.get_type_hints(kind)
        if set(raw) != set(hints):
            raise ValueError(f"{where} lacks or has too many fields: {sorted(set(raw) ^ set(hints))}")
        return typing.cast("type", kind)(**{name: _decode(hints[name], raw[name], f"{where}.{name}") for name in hints})
    origin = typing.get_origin(kind)
    if origin is tuple:
        if not isinstance(raw, list):
            raise ValueError(f"{where} must be a list")
        return tuple(_decode(typing.get_args(kind)[0], entry, where) for entry in raw)
    if origin is not None and not isinstance(origin, types.UnionType):
        if not isinstance(raw, dict):
            raise ValueError(f"{where} must be an object")
        value_kind = typing.get_args(kind)[1]
        return {name: _decode(value_kind, value, f"{where}.{name}") for name, value in raw.items()}
    if kind is AttributeType:
        return AttributeType(raw)
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if not isinstance(raw, kind) or (kind is int and isinstance(raw, bool)):
        raise ValueError(f"{where} must be a {kind.__name__}")
    return raw
