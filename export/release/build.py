"""Build of a release: items -> texts -> vectors -> graph -> one immutable, self-contained folder."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datafiles.items import ItemFile
from domain import release_folder as layout
from domain.durable import sha256_of
from domain.errors import ModelNotUsable
from domain.item import AttributeType
from domain.manifest import SCHEMA_VERSION, EncoderEntry, FileEntry, GraphEntry, Manifest, TextEntry
from domain.progress import Progress
from domain.release_folder import ReleaseFolder
from domain.text import TextTemplate, check_text_attributes
from domain.vector_format import VectorFormat
from export.encoder.source import EncoderSource
from export.parts.model_folder import ModelFolder
from export.parts.pack import PackedNetworks, Target, pack_parts, release_rows, with_canaries
from export.precision.calibration import Precision
from export.prepare_encoder import PreparedEncoder, prepare_encoder
from export.release.card import model_card
from export.release.chunk import ChunkWork
from export.release.engines import Engine, InProcess
from export.release.first_seen import write_first_seen
from export.release.key import build_key, library_versions
from export.release.promotion import Verdict, check_against_current
from export.release.relevance import query_vectors, write_relevance
from export.release.stages import (
    chunks_of,
    copy_encoder,
    encode_items,
    open_vectors,
    write_graph,
    write_items,
    write_lexical,
)
from export.release.vector_store import VectorStore
from export.release.workspace import Workspace, workspace


@dataclass(frozen=True)
class ReleaseRequest:
    """Request for a build.

    Attributes:
        catalogue: the checked item file.
        releases: folder that gets the release.
        encoder: where the encoder comes from.
        cache: folder of exported encoders.
        text_attributes: attributes told in an item's text; None takes the common ones and long texts.
        max_batch_size: most rows in one Triton call.
        promote: whether it becomes the current release.
        model: what was trained; None where the encoder serves alone.
        accept_worse: whether a model is taken that is worse than the current release, or was not compared with it.
        engine: who encodes the items.
        chunk_items: items that are encoded, and kept through a kill, together.
        precision: in which numbers the served encoder computes.
        pinyin: whether Chinese titles and values are found by their pinyin.
        vectors: numbers of the graph's nodes; what they find is scored by the exact vectors.
        scenes: content of a checked file of scenes that the release brings; None for none.
    """

    catalogue: ItemFile
    releases: Path
    encoder: EncoderSource
    cache: Path
    text_attributes: tuple[str, ...] | None = None
    max_batch_size: int = 32
    promote: bool = True
    model: ModelFolder | None = None
    accept_worse: bool = False
    engine: Engine = field(default_factory=InProcess)
    chunk_items: int = 1_024
    precision: Precision = field(default_factory=Precision)
    pinyin: bool = False
    vectors: VectorFormat = VectorFormat.FLOAT32
    scenes: bytes | None = None


@dataclass(frozen=True)
class _Built:
    """Results of the finished stages for the manifest."""

    dimension: int
    text: TextEntry
    graph: GraphEntry


def build_release(request: ReleaseRequest, progress: Progress) -> ReleaseFolder:
    """Builds a release and returns it. A build that was killed goes on where it stopped, and ends in the same bytes.

    Raises:
        CalibrationNotUsable: the precision can't be set up or measured with its texts.
        EncoderNotUsable, ParityFailed: the encoder, or a trained model, cannot be exported.
        ItemFileError: the item file was changed since it was checked.
        ModelNotUsable: the model folder doesn't fit the items or the encoder.
        ReleaseRejected: a gate failed, for example the model is worse than the current release.
        BuildRunning: another process is at the same build.
        WorkerLost: a worker process ended before its work was done.
        StorageError: the disk is full or the folder cannot be written.
    """
    model = request.model
    template = _template(request)
    if model is not None:
        _check_text(model, template, request.encoder.max_tokens)
    item_ids: Sequence[str] = ()
    verdict = Verdict()
    if model is not None:
        item_ids = sorted(request.catalogue.ids())  # as `write_items` orders rows
        release_rows(model, item_ids)
        verdict = check_against_current(request.releases, model, request.accept_worse, progress)
    encoder = prepare_encoder(
        request.encoder,
        request.cache,
        max_batch_size=request.max_batch_size,
        progress=progress,
        precision=request.precision,
    )
    settings: dict[str, object] = {
        "max_batch_size": request.max_batch_size,
        "chunk_items": request.chunk_items,
        "pinyin": request.pinyin,
        "vectors": request.vectors.value,
        "options": request.catalogue.options.facts(),
        "scenes": None if request.scenes is None else hashlib.sha256(request.scenes).hexdigest(),
    }
    key = build_key(request.catalogue.path, encoder, template, model, settings)
    with workspace(request.releases, key) as place:
        release_id = place.finished_id
        if release_id is None:
            built = _run_stages(request, place, encoder, template, progress)
            parts = PackedNetworks()
            if model is not None:
                parts = pack_parts(model, Target(item_ids, open_vectors(place.folder), place.folder), progress)
                with_canaries(place.folder / layout.CANARY, parts.canaries)
            release_id = layout.new_release_id()
            manifest = replace(
                _manifest(request, encoder, template, built, parts), release_id=release_id, parents=verdict.parents
            )
            if request.scenes is not None:
                (place.folder / layout.SCENES).write_bytes(request.scenes)
            write_first_seen(place.folder, request.releases, manifest.created)
            (place.folder / layout.CARD).write_text(model_card(manifest, model, verdict.comparison), encoding="utf-8")
            manifest = replace(manifest, files=_digests(place.folder))
            layout.write_manifest(place.folder, manifest)
            place.finish(release_id)
        if request.promote:
            layout.promote(request.releases, release_id)
        place.remove()
    return layout.open_release(request.releases / release_id)


def _run_stages(
    request: ReleaseRequest, place: Workspace, encoder: PreparedEncoder, template: TextTemplate, progress: Progress
) -> _Built:
    """Runs each stage that no earlier run of this build finished."""
    folder, catalogue, source = place.folder, request.catalogue, request.encoder
    timestamps = frozenset(name for name, kind in catalogue.attribute_types.items() if kind is AttributeType.TIMESTAMP)
    written = place.stage("items", lambda: write_items(catalogue, folder, request.chunk_items))
    copied = place.stage("encoder", lambda: copy_encoder(encoder, folder))
    work = ChunkWork(
        items=folder / layout.ITEMS,
        onnx=folder / layout.ENCODER,
        tokenizer=folder / layout.TOKENIZER,
        max_tokens=source.max_tokens,
        pad_token_id=source.pad_token_id,
        max_batch_size=request.max_batch_size,
        prompt=source.passage_prompt,
        template=template,
        timestamps=timestamps,
        languages=source.languages,
    )
    chunks, dimension = chunks_of(written), int(str(copied["dimension"]))

    def encode() -> Mapping[str, Any]:
        store = VectorStore(folder / layout.VECTORS, place.records, chunks, dimension)
        return encode_items(store, work, chunks, request.engine, progress)

    text = place.stage("vectors", encode)
    place.stage("lexical", lambda: write_lexical(folder, timestamps, pinyin=request.pinyin))
    place.stage("relevance", lambda: write_relevance(folder, encoder, timestamps))

    def index() -> Mapping[str, Any]:
        return write_graph(folder, progress, query_vectors(folder, encoder, timestamps), request.vectors)

    graph = place.stage("graph", index)
    return _Built(dimension, TextEntry(**text), GraphEntry(**graph))


def _manifest(
    request: ReleaseRequest, encoder: PreparedEncoder, template: TextTemplate, built: _Built, parts: PackedNetworks
) -> Manifest:
    """Returns the manifest but for its id, its parents and the digests of the files."""
    catalogue, model, source = request.catalogue, request.model, request.encoder
    quality = None if model is None else model.quality
    return Manifest(
        schema_version=SCHEMA_VERSION,
        release_id="",
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        item_count=catalogue.item_count,
        available_count=catalogue.available_count,
        dimension=built.dimension,
        encoder=EncoderEntry(
            name=source.name,
            source_sha256=source.sha256,
            triton_model="encoder",
            file=layout.ENCODER,
            max_tokens=source.max_tokens,
            max_batch_size=request.max_batch_size,
            pad_token_id=source.pad_token_id,
            parity_worst_cosine=encoder.worst_cosine,
            family=source.family,
            pooling=source.pooling,
            query_prompt=source.query_prompt,
            passage_prompt=source.passage_prompt,
            precision=encoder.precision,
            languages=source.languages,
        ),
        graph=built.graph,
        text=built.text,
        template=template,
        attribute_types=catalogue.attribute_types,
        files={},
        quality={} if quality is None else quality.metrics,
        built_with=library_versions(),
        models=parts.models,
        thresholds={} if model is None else model.thresholds,
        quality_protocol="" if quality is None else quality.protocol,
        pinyin=request.pinyin,
    )


def _template(request: ReleaseRequest) -> TextTemplate:
    """Returns the wanted template, else that of the model's training, else the one that fits the items."""
    if request.text_attributes is not None:
        return TextTemplate(check_text_attributes(request.text_attributes, request.catalogue.attribute_types))
    if request.model is not None and request.model.text is not None:
        return TextTemplate(request.model.text.attributes)
    return TextTemplate(request.catalogue.text_attributes)


def _check_text(model: ModelFolder, template: TextTemplate, max_tokens: int) -> None:
    """Refuses item texts that differ from those that the model was trained on.

    Raises:
        ModelNotUsable: the template or the cut differs.
    """
    text = model.text
    if text is None:
        return
    wanted, trained = ", ".join(template.item_attributes) or "none", ", ".join(text.attributes) or "none"
    problems = []
    if template.item_attributes != text.attributes:
        problems.append(f"attributes {wanted} (--text-attributes), trained with {trained}")
    if max_tokens != text.max_tokens:
        problems.append(f"cut at {max_tokens} tokens (--max-tokens), trained with {text.max_tokens}")
    if problems:
        raise ModelNotUsable(
            f"{model.path} was trained on other item texts: {'; '.join(problems)}. Leave the flags out, so that the "
            "release takes the training's texts, or train with such items and such an encoder"
        )


def _digests(folder: Path) -> dict[str, FileEntry]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = {}
    for path in files:
        if path in (folder / layout.MANIFEST, folder / layout.MANIFEST_SUM):  # of a run that was killed
            continue
        name = path.relative_to(folder).as_posix()
        entries[name] = FileEntry(sha256_of(path), path.stat().st_size)
    return entries
