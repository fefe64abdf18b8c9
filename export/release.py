"""Builds a release: items -> texts -> vectors -> graph -> one immutable, self-contained folder."""

import json
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np

from domain import release_folder as layout
from domain.errors import ReleaseRejected
from domain.item import Item, item_to_json
from domain.item_file import Catalogue
from domain.manifest import SCHEMA_VERSION, EncoderEntry, FileEntry, GraphEntry, Manifest, TextEntry, manifest_to_json
from domain.release_folder import ReleaseFolder
from domain.text import COMMON_TEXT_ATTRIBUTES, TextTemplate, item_text
from export.embed import embed, open_session
from export.encoder import PreparedEncoder, prepare_encoder
from export.encoder_source import EncoderSource
from export.model_card import model_card
from export.model_folder import ModelFolder
from export.model_parts import PackedParts, Target, pack_parts, release_rows, with_canaries
from export.progress import Progress
from export.quality import read_quality, worse_figures
from export.workplace import workplace
from pipeline.graph_file import EF_CONSTRUCTION, EF_SEARCH, M, VectorIndex, build_graph, save_graph
from pipeline.lexical import LexicalIndex, lexical_text
from pipeline.tokenize import UNREADABLE_LIMIT, TextTokenizer, TokenizedText
from pipeline.vectors import exact_search, recall_at_k

RECALL_GATE = 0.99
_RECALL_QUERIES = 500
_WIDEST_EF = 4_096

# Encoded through Triton before a release serves: they differ in length, script and meaning, so that another model,
# another tokenizer or another precision shows.
CANARY_TEXTS = (
    "tea",
    "A quiet walk along the harbour before sunrise.",
    "wireless earphones that stay in while running",
    "How do I repot a fern without hurting its roots?",
    "The committee postponed the vote until the auditors had read all four annexes of the second report.",
    "热茶和一本好书",
    "x = 42; y = 3.14 # 100 %",
    "On the first day the market opened late because the river had risen in the night, so the stallholders carried "
    "their crates up to the square by hand, traded stories instead of fruit until noon, and sold everything before the "
    "church clock struck four, which nobody in the town could remember ever having happened before on a rainy Tuesday.",
)


@dataclass(frozen=True)
class ReleaseRequest:
    """What to build.

    Attributes:
        catalogue: the checked items.
        releases: folder that gets the release.
        encoder: where the encoder comes from.
        cache: folder of exported encoders.
        text_attributes: attributes told in an item's text; None takes the common ones that occur.
        max_batch_size: most rows in one Triton call.
        promote: whether it becomes the current release.
        model: what was trained; None where the encoder serves alone.
        accept_worse: whether a model is taken whose figures are worse than the current release's.
    """

    catalogue: Catalogue
    releases: Path
    encoder: EncoderSource
    cache: Path
    text_attributes: tuple[str, ...] | None = None
    max_batch_size: int = 32
    promote: bool = True
    model: ModelFolder | None = None
    accept_worse: bool = False


@dataclass(frozen=True)
class _Texts:
    """The items' texts, tokenised, and what was noticed about them."""

    tokenized: list[TokenizedText]
    entry: TextEntry


def build_release(request: ReleaseRequest, progress: Progress) -> ReleaseFolder:
    """Builds a release and returns it; on any failure nothing is left behind.

    Raises:
        EncoderNotUsable, ParityFailed: the encoder, or a trained model, cannot be exported.
        ModelNotUsable: the model folder doesn't fit the items or the encoder.
        ReleaseRejected: a gate failed, for one that the model's figures are worse than those of the current release.
        StorageError: the disk is full or the folder cannot be written.
    """
    catalogue, model = request.catalogue, request.model
    template = _template(request, catalogue)
    item_ids = [item.id for item in catalogue.items]
    parents: tuple[str, ...] = ()
    if model is not None:
        release_rows(model, item_ids)
        parents = _checked_against_current(request, model, progress)
    release_id = layout.new_release_id()
    with workplace(request.releases, release_id) as folder:
        encoder = prepare_encoder(
            request.encoder, request.cache, max_batch_size=request.max_batch_size, on_step=progress.step
        )
        _copy_encoder(request.encoder, encoder, folder)
        texts = _tokenize(catalogue, template, folder, request.encoder.max_tokens)
        vectors = _embed(texts, encoder, request, folder, progress)
        graph = _index(vectors, folder, progress)
        _write_catalogue(catalogue, folder)
        parts = PackedParts()
        if model is not None:
            parts = pack_parts(model, Target(item_ids, vectors, folder), progress)
            with_canaries(folder / layout.CANARY, parts.canaries)
        quality = None if model is None else model.quality
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            release_id=release_id,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            item_count=len(catalogue.items),
            available_count=sum(item.available for item in catalogue.items),
            dimension=vectors.shape[1],
            encoder=EncoderEntry(
                name=request.encoder.name,
                source_sha256=request.encoder.sha256,
                triton_model="encoder",
                file=layout.ENCODER,
                max_tokens=request.encoder.max_tokens,
                max_batch_size=request.max_batch_size,
                pad_token_id=request.encoder.pad_token_id,
                parity_worst_cosine=encoder.parity.worst_cosine,
                family=request.encoder.family,
                pooling=request.encoder.pooling,
                query_prompt=request.encoder.query_prompt,
                passage_prompt=request.encoder.passage_prompt,
            ),
            graph=graph,
            text=texts.entry,
            template=template,
            attribute_types=catalogue.attribute_types,
            files=_digests(folder),
            quality={} if quality is None else quality.metrics,
            parents=parents,
            built_with={name: metadata.version(name) for name in ("onnxruntime", "tokenizers", "hnswlib", "numpy")},
            models=parts.models,
            thresholds={} if model is None else model.thresholds,
            quality_protocol="" if quality is None else quality.protocol,
        )
        (folder / layout.CARD).write_text(model_card(manifest, model), encoding="utf-8")
        manifest = replace(manifest, files=_digests(folder))
        (folder / layout.MANIFEST).write_text(manifest_to_json(manifest), encoding="utf-8")
    if request.promote:
        layout.promote(request.releases, release_id)
    return layout.open_release(request.releases / release_id)


def _checked_against_current(request: ReleaseRequest, model: ModelFolder, progress: Progress) -> tuple[str, ...]:
    """Returns the id of the release that this one would replace.

    Raises:
        ReleaseRejected: that one's figures, by the same protocol, are better, and nobody said that worse will do.
    """
    current = layout.current_release_id(request.releases)
    if current is None:
        return ()
    path = request.releases / current / layout.QUALITY
    if not path.exists() or model.quality is None:
        return (current,)
    worse = worse_figures(model.quality, read_quality(path))
    if worse and not request.accept_worse:
        raise ReleaseRejected(
            f"{model.path} is worse than the current release {current} ({model.quality.protocol}, validation): "
            f"{'; '.join(worse)}. Train further, or say --accept-worse"
        )
    if worse:
        progress.step(f"accepted although worse than {current}: {'; '.join(worse)}")
    return (current,)


def _template(request: ReleaseRequest, catalogue: Catalogue) -> TextTemplate:
    wanted = request.text_attributes
    if wanted is None:
        return TextTemplate(tuple(name for name in COMMON_TEXT_ATTRIBUTES if name in catalogue.attribute_types))
    unknown = [name for name in wanted if name not in catalogue.attribute_types]
    if unknown:
        raise ReleaseRejected(
            f"no item has the attribute {', '.join(unknown)}; "
            f"the file has {', '.join(sorted(catalogue.attribute_types)) or 'none'}"
        )
    return TextTemplate(wanted)


def _copy_encoder(source: EncoderSource, encoder: PreparedEncoder, folder: Path) -> None:
    shutil.copyfile(encoder.onnx.path, folder / layout.ENCODER)
    shutil.copyfile(source.folder / "tokenizer.json", folder / layout.TOKENIZER)


def _tokenize(catalogue: Catalogue, template: TextTemplate, folder: Path, max_tokens: int) -> _Texts:
    tokenizer = TextTokenizer(folder / layout.TOKENIZER, max_tokens)
    texts = [item_text(item, template) for item in catalogue.items]
    tokenized = tokenizer.tokenize(texts)
    own = sum(text.own_count for text in tokenized)
    entry = TextEntry(
        unknown_token_share=sum(text.unknown_count for text in tokenized) / own if own else 0.0,
        truncated_item_count=sum(text.truncated for text in tokenized),
        indistinct_item_count=_indistinct(texts, tokenized),
        unreadable_item_count=sum(text.unreadable_share > UNREADABLE_LIMIT for text in tokenized),
    )
    return _Texts(tokenized, entry)


def _indistinct(texts: Sequence[str], tokenized: Sequence[TokenizedText]) -> int:
    """Counts the items that share all token ids with an item of another text."""
    groups: dict[bytes, list[str]] = defaultdict(list)
    for text, tokens in zip(texts, tokenized, strict=True):
        groups[tokens.ids.tobytes()].append(text)
    return sum(len(group) for group in groups.values() if len(set(group)) > 1)


def _embed(
    texts: _Texts, encoder: PreparedEncoder, request: ReleaseRequest, folder: Path, progress: Progress
) -> np.ndarray:
    session = open_session(folder / layout.ENCODER)
    pad_id = request.encoder.pad_token_id
    # By tokens: the longest texts go first, so a rate in items would promise too little.
    tokens = sum(len(text.ids) for text in texts.tokenized)
    with progress.track(f"embedding {len(texts.tokenized):,} items", tokens, "tokens") as advance:
        vectors = embed(session, texts.tokenized, pad_id, request.max_batch_size, advance)
    canaries = TextTokenizer(folder / layout.TOKENIZER, request.encoder.max_tokens).tokenize(CANARY_TEXTS)
    canary = {"texts": CANARY_TEXTS, "vectors": embed(session, canaries, pad_id, 1).tolist()}
    (folder / layout.CANARY).write_text(json.dumps(canary, ensure_ascii=False), encoding="utf-8")
    np.save(folder / layout.VECTORS, vectors)
    np.save(folder / layout.MEAN, vectors.mean(axis=0))
    shares = np.array([text.unreadable_share for text in texts.tokenized], dtype=np.float32)
    np.save(folder / layout.UNREADABLE_SHARE, shares)
    return vectors


def _index(vectors: np.ndarray, folder: Path, progress: Progress) -> GraphEntry:
    with progress.track("building the graph", len(vectors), "vectors") as advance:
        graph = build_graph(vectors, advance)
    save_graph(graph, folder / layout.GRAPH)
    rng = np.random.default_rng(42)
    queries = vectors[rng.choice(len(vectors), min(_RECALL_QUERIES, len(vectors)), replace=False)]
    count = min(10, len(vectors))
    exact = np.stack([exact_search(vectors, query, count)[1] for query in queries])
    ef = EF_SEARCH
    while True:
        index = VectorIndex(graph, vectors, ef)
        recall = recall_at_k([index.graph_search(query, count) for query in queries], exact, vectors, queries)
        progress.step(f"recall@10 of the graph against exact search: {recall:.4f} (ef {ef}, {len(queries)} queries)")
        if recall >= RECALL_GATE:
            return GraphEntry(M, EF_CONSTRUCTION, ef, recall, len(queries))
        if ef >= _WIDEST_EF:
            raise ReleaseRejected(f"the graph finds {recall:.1%} of the nearest items, the gate is {RECALL_GATE:.0%}")
        ef *= 2


def _write_catalogue(catalogue: Catalogue, folder: Path) -> None:
    with (folder / layout.ITEMS).open("w", encoding="utf-8", newline="\n") as stream:
        for item in catalogue.items:
            stream.write(_json_line(item))
    LexicalIndex.build(lexical_text(item) for item in catalogue.items).save(folder / layout.LEXICAL)


def _json_line(item: Item) -> str:
    return json.dumps(item_to_json(item), ensure_ascii=False) + "\n"


def _digests(folder: Path) -> dict[str, FileEntry]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = {}
    for path in files:
        name = path.relative_to(folder).as_posix()
        entries[name] = FileEntry(layout.sha256_of(path), path.stat().st_size)
    return entries
