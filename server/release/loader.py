"""Loader of releases: verify, read, load the models into Triton, compare canaries, warm up. Only then may one serve."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core.query.interpreter import QueryInterpreter
from core.retrieval.fill import FillSource
from core.retrieval.vector_store import VectorStore
from core.text.language import EncoderLanguages, LanguageDetector
from core.text.tokenize import TextTokenizer
from domain import release_folder as layout
from domain.errors import ReleaseRejected
from domain.manifest import EncoderEntry
from domain.progress import Progress, SilentProgress
from domain.prompts import Prompts
from domain.release_folder import ReleaseFolder
from server.catalogue.catalogue import ReleaseCatalogue
from server.models.batcher import BatchObserver
from server.models.embedding_cache import CacheObserver, EmbeddingCache
from server.models.encoder_choice import EncoderWishes, Machine
from server.models.encoder_variant import EncoderVariant
from server.models.model_spec import ModelSpec
from server.models.ranker import Ranker, RankScaling
from server.models.served_model import ServedModel
from server.models.text_encoder import TextEncoder, encoder_batcher
from server.models.user_tower import UserTower
from server.observability.logs import message_of
from server.release.canaries import CanaryFile
from server.release.data import ReleaseData, read_release
from server.release.live_release import LiveRelease
from server.release.model_loader import ModelLoader
from server.release.model_specs import encoder_spec, trained_model_spec
from server.release.signature import verify_signature
from server.release.sources import release_sources


class EncoderObserver(BatchObserver, CacheObserver, Protocol):
    """Counter of batches and look-ups, told how the encoder computes."""

    def encoder_chosen(self, numbers: str, instances: int, threads: int) -> None:
        """Takes the encoder's numbers, instances and threads."""


@dataclass(frozen=True)
class ReleaseLoader:
    """Loader of releases.

    Attributes:
        models: loads their models.
        observer: counts batches, and is told how the encoder computes.
        unreadable_limit: above this share of text that the encoder cannot read, an item's vector carries no meaning.
        wishes: what the settings say of the encoder.
        machine: where the embedded Triton runs; None for another's Triton.
        cache_bytes: of the encoder's vectors that are kept; 0 keeps none.
        detector: of the languages that texts are in; its model is read with the first release that names its encoder's.
        places: folders for a private copy of what stays mapped.
        trusted_keys: one of them must have signed a release; empty where none need be.
        over: returns a loaded release over another catalogue than its own; blocking. None for its own.
        tokenizers: of the releases that are loaded: making one holds up all threads for a tenth of a second.
    """

    models: ModelLoader
    observer: EncoderObserver
    unreadable_limit: float
    wishes: EncoderWishes = field(default_factory=EncoderWishes)
    machine: Machine | None = None
    cache_bytes: int = 0
    detector: LanguageDetector = field(default_factory=LanguageDetector)
    places: tuple[Path, ...] = ()
    trusted_keys: tuple[Ed25519PublicKey, ...] = ()
    over: Callable[[LiveRelease], LiveRelease] | None = None
    tokenizers: "WeakValueDictionary[str, TextTokenizer]" = field(
        default_factory=WeakValueDictionary, repr=False, compare=False
    )

    async def load(self, folder: ReleaseFolder, progress: Progress | None = None) -> LiveRelease:
        """Verifies a release, loads it into Triton and returns it warm.

        Raises:
            ReleaseRejected: corrupt, not signed as it must be, or Triton refuses a model, or answers differently.
            TritonNotUsable, TritonUnresponsive, StorageError: as `ModelLoader.serve`.
        """
        run = self.models.run
        progress = progress or SilentProgress()
        progress.step("verifying")
        if self.trusted_keys:
            await run(verify_signature, folder, self.trusted_keys)
        await run(layout.verify, folder)
        if unlisted := await run(layout.unlisted_files, folder):
            structlog.get_logger("release").warning(
                "files that are not of the release are left alone", files=unlisted[:16], count=len(unlisted)
            )
        canaries = await run(CanaryFile.read, folder, self.tokenizers)
        # Beside Triton, which needs some seconds for the encoder.
        reading = asyncio.ensure_future(run(self._read, folder, canaries))
        encoder, variant = await self._serve_encoder(folder, canaries, progress)
        data = await reading
        if self.wishes.by_student and data.student is None:
            raise ReleaseRejected(
                "text_encoder student: the release has no student; train one (`shortlist train`, step student) and "
                "build the release with --model, or leave text_encoder out"
            )
        served = {name: await self._serve_trained(folder, name, data, progress) for name in folder.manifest.models}
        # Each thread makes its own tokenizer on first use, which takes tens of milliseconds; the loop's is made here.
        data.tokenizer.tokenize(("warm",))
        content = VectorStore(data.index.vectors, data.unreadable_share > self.unreadable_limit, data.index)
        sources = await run(release_sources, data, content)
        interpreter = await run(_interpreter, data)
        release = LiveRelease(
            data=data,
            content=content,
            catalogue=ReleaseCatalogue(data.items, content, data.mean),
            sources=sources,
            fill=FillSource(content.silent),
            encoder=self._text_encoder(encoder, variant, data),
            user_tower=_user_tower(served["user_tower"], data) if "user_tower" in served else None,
            ranker=_ranker("ranker", served, data, data.rank_scaling),
            text_ranker=_ranker("text_ranker", served, data, data.text_rank_scaling),
            languages=EncoderLanguages(folder.manifest.encoder.languages, self.detector),
            interpreter=interpreter,
        )
        return release if self.over is None else await run(self.over, release)

    async def _serve_encoder(
        self, folder: ReleaseFolder, canaries: CanaryFile, progress: Progress
    ) -> tuple[ServedModel, EncoderVariant]:
        """Serves the encoder in the best way whose canaries are the release's."""
        expected = await self.models.run(canaries.encoder_canaries, folder)
        entry = folder.manifest.encoder
        variants = self.wishes.variants(self.machine, entry, (folder.path / entry.file).stat().st_size)
        specs = {variant.numbers: encoder_spec(folder, expected, variant) for variant in variants}
        model, way = await self._first_served(specs, progress)
        variant = next(one for one in variants if one.numbers == way)
        automatic = len(variants) > 1 and variant is variants[0]
        unit = self.machine.bfloat16_unit if automatic and self.machine else ""
        why = f": the processor has {unit}, and the canaries agree; --precision float32 refuses" if unit else ""
        structlog.get_logger("encoder").info(
            f"the encoder computes in {variant.numbers}{why}",
            instances=variant.shape.instances,
            threads=variant.shape.threads,
        )
        self.observer.encoder_chosen(variant.numbers, variant.shape.instances, variant.shape.threads)
        return model, variant

    async def _serve_trained(
        self, folder: ReleaseFolder, name: str, data: ReleaseData, progress: Progress
    ) -> ServedModel:
        """Serves user tower or ranker: in Triton's own process where a native backend is there, else by the stub."""
        engines = ("openvino", "onnxruntime") if self.machine is not None and self.machine.native else ("onnxruntime",)
        specs = {engine: trained_model_spec(folder, name, data.canaries[name], engine) for engine in engines}
        return (await self._first_served(specs, progress))[0]

    async def _first_served(self, specs: Mapping[str, ModelSpec], progress: Progress) -> tuple[ServedModel, str]:
        """Serves a model in the first of several ways in which its canaries are the release's; returns the way too.

        One configuration holds for all versions of a model, so the way of what serves meanwhile is tried first.

        Raises:
            ReleaseRejected: in none of them; the error is that of the last.
        """
        ways = sorted(specs, key=lambda way: not self.models.is_way(specs[way]))
        for way in ways:
            spec = specs[way]
            try:
                return await self.models.serve(spec, progress), way
            except ReleaseRejected as error:
                if way == ways[-1]:
                    raise
                structlog.get_logger("release").warning(
                    f"the {spec.title} is not served so; the next choice is tried", way=way, error=message_of(error)
                )
        raise AssertionError  # there is at least one

    def _read(self, folder: ReleaseFolder, canaries: CanaryFile) -> ReleaseData:
        if folder.manifest.encoder.languages:
            self.detector.open()
        return read_release(folder, canaries, self.places)

    def _text_encoder(self, model: ServedModel, variant: EncoderVariant, data: ReleaseData) -> TextEncoder:
        entry: EncoderEntry = data.manifest.encoder
        prompts = Prompts(entry.query_prompt, entry.passage_prompt)
        batcher = encoder_batcher(model, variant.limits(entry), self.observer)
        # What a text's batch mates can change is never kept.
        cache = EmbeddingCache(self.cache_bytes, self.observer) if variant.limits(entry).share_equal else None
        student = data.student if self.wishes.by_student else None
        return TextEncoder(data.tokenizer, model, batcher, self.models.workers, prompts, cache, student)


def _interpreter(data: ReleaseData) -> QueryInterpreter:
    return QueryInterpreter.of_values(data.items.values())


def _user_tower(model: ServedModel, data: ReleaseData) -> UserTower:
    return UserTower(model, data.index.vectors, data.manifest.models["user_tower"].max_length)


def _ranker(
    name: str, served: Mapping[str, ServedModel], data: ReleaseData, scaling: RankScaling | None
) -> Ranker | None:
    """Returns the ranker of this name; None where the release has none."""
    if name not in served:
        return None
    assert scaling is not None and data.item_facts is not None  # the manifest has it
    return Ranker(served[name], scaling, data.item_facts, most_candidates=data.manifest.models[name].max_length)
