"""Loader of releases: verify, read, load the models into Triton, compare canaries, warm up. Only then may one serve."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from core.query.interpreter import QueryInterpreter
from core.retrieval.fill import FillSource
from core.retrieval.vector_store import VectorStore
from core.text.language import EncoderLanguages, LanguageDetector
from core.triton.model_config import length_buckets
from core.triton.model_repository import install_model
from domain import release_folder as layout
from domain.errors import DeadlineExceeded, ModelUnavailable, ReleaseRejected, TritonUnresponsive
from domain.manifest import EncoderEntry
from domain.progress import Progress, SilentProgress
from domain.prompts import Prompts
from domain.release_folder import ReleaseFolder
from server.catalogue.catalogue import ReleaseCatalogue
from server.models.batcher import BatchLimits, BatchObserver
from server.models.encoder_variant import EncoderVariant
from server.models.model_server import ModelServer
from server.models.model_spec import ModelSpec
from server.models.ranker import Ranker, RankScaling
from server.models.served_model import ServedModel
from server.models.start import start_model
from server.models.text_encoder import TextEncoder, encoder_batcher
from server.models.user_tower import UserTower
from server.release.canaries import CanaryFile
from server.release.data import ReleaseData, read_release
from server.release.live_release import LiveRelease
from server.release.model_specs import encoder_spec, trained_model_spec
from server.release.sources import release_sources

_LOAD_TIMEOUT_S = 120.0
_CALL_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ModelLoader:
    """Loader of models into Triton.

    Attributes:
        triton: where models run.
        repository: the model repository that this process and Triton both see.
        workers: threads for disk and hashing.
        shared: whether other gateways use the same Triton.
    """

    triton: ModelServer
    repository: Path
    workers: Executor
    shared: bool

    async def serve(self, spec: ModelSpec, progress: Progress) -> ServedModel:
        """Installs a model, loads it, compares its canaries and warms it up.

        Raises:
            ReleaseRejected: Triton refuses it, or answers its canaries differently.
            TritonNotUsable: Triton is not there or not under explicit control.
            TritonUnresponsive: it ended, or the model's process stood still, at each of three attempts.
            StorageError: the model repository cannot be written.
        """
        run = asyncio.get_running_loop().run_in_executor
        model = ServedModel(self.triton, spec, await run(self.workers, self._install, spec))
        place = self._version_folder(model)

        async def start(*, afresh: bool) -> None:
            progress.step(f"loading the {spec.title} into Triton")
            if afresh:
                await self.reload(model)
            else:
                await run(self.workers, spec.config.check, place)
                try:
                    await self.load(model)
                except ReleaseRejected as error:
                    raise spec.config.explained(error, place) from error
            progress.step(f"comparing the canaries of the {spec.title}")
            await self._compare_canaries(model)
            progress.step(f"warming up the {spec.title}")
            await _warm_up(model)

        await start_model(start, self.triton, progress)
        return model

    async def load(self, model: ServedModel) -> None:
        """Has Triton serve the model's version; also after Triton was restarted.

        A Triton of our own serves exactly this version. On a shared one, the versions that other gateways serve stay.
        """
        await self._load(model, await self._others(model))

    async def reload(self, model: ServedModel) -> None:
        """Has Triton start the model afresh: loading what counts as loaded does nothing."""
        others = await self._others(model)
        await self.triton.unload(model.spec.name)
        await self._load(model, others)

    async def check(self, model: ServedModel) -> None:
        """Asks with every canary.

        Raises:
            ReleaseRejected, ModelUnavailable, DeadlineExceeded: as `ServedModel.check`.
        """
        await model.check(_CALL_TIMEOUT_S)

    async def _others(self, model: ServedModel) -> tuple[int, ...]:
        return await self.triton.ready_versions(model.spec.name) if self.shared else ()

    async def _load(self, model: ServedModel, others: tuple[int, ...]) -> None:
        versions = sorted({model.version, *others})
        # One configuration holds for all versions: another encoder may not take this one's lengths, so where others
        # are served Triton warms nothing up, and each gateway its own version.
        config = model.spec.config.text(warm_up=len(versions) == 1)
        await self.triton.load(model.spec.name, config, versions, _LOAD_TIMEOUT_S)

    async def _compare_canaries(self, model: ServedModel) -> None:
        try:
            await self.check(model)
        except TritonUnresponsive:
            raise
        except (ModelUnavailable, DeadlineExceeded) as error:
            raise ReleaseRejected(
                f"the {model.spec.title} in Triton cannot answer the canaries of release {model.spec.release_id}: "
                f"{error}; do Triton and the gateway see the same model repository?"
            ) from error

    def _install(self, spec: ModelSpec) -> int:
        config = spec.config.text(warm_up=True)
        return install_model(self.repository, spec.name, spec.file, spec.sha256, config)

    def _version_folder(self, model: ServedModel) -> Path:
        return self.repository / model.spec.name / str(model.version)


async def _warm_up(model: ServedModel) -> None:
    """Runs every shape once, whether or not Triton's own warm-up did."""
    for inputs in model.spec.warm_up_inputs:
        try:
            await model.infer(inputs, _CALL_TIMEOUT_S)
        except TritonUnresponsive:
            raise
        except (ModelUnavailable, DeadlineExceeded) as error:
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in inputs.items())
            raise ReleaseRejected(f"the warm-up of the {model.spec.title} with {shapes} failed: {error}") from error


@dataclass(frozen=True)
class ReleaseLoader:
    """Loader of releases.

    Attributes:
        models: loads their models.
        observer: counts batches.
        unreadable_limit: above this share of text that the encoder cannot read, an item's vector carries no meaning.
        variant: the settings' choice among the encoder's configurations.
        detector: of the languages that texts are in; its model is read with the first release that names its encoder's.
        places: folders for a private copy of what stays mapped.
    """

    models: ModelLoader
    observer: BatchObserver
    unreadable_limit: float
    variant: EncoderVariant = field(default_factory=EncoderVariant)
    detector: LanguageDetector = field(default_factory=LanguageDetector)
    places: tuple[Path, ...] = ()

    async def load(self, folder: ReleaseFolder, progress: Progress | None = None) -> LiveRelease:
        """Verifies a release, loads it into Triton and returns it warm.

        Raises:
            ReleaseRejected: corrupt, or Triton refuses a model or answers its canaries differently.
            TritonNotUsable, TritonUnresponsive, StorageError: as `ModelLoader.serve`.
        """
        loop, workers = asyncio.get_running_loop(), self.models.workers
        progress = progress or SilentProgress()
        progress.step("verifying")
        await loop.run_in_executor(workers, layout.verify, folder)
        canaries = await loop.run_in_executor(workers, CanaryFile.read, folder)
        # Beside Triton, which needs some seconds for the encoder.
        reading = loop.run_in_executor(workers, self._read, folder, canaries)
        spec = encoder_spec(folder, canaries.encoder_canaries(folder), self.variant)
        encoder = await self.models.serve(spec, progress)
        data = await reading
        served = {
            name: await self.models.serve(trained_model_spec(folder, name, data.canaries[name]), progress)
            for name in folder.manifest.models
        }
        # Each thread makes its own tokenizer on first use, which takes tens of milliseconds; the loop's is made here.
        data.tokenizer.tokenize(("warm",))
        content = VectorStore(data.index.vectors, data.unreadable_share > self.unreadable_limit, data.index)
        sources = await asyncio.get_running_loop().run_in_executor(self.models.workers, release_sources, data, content)
        interpreter = await loop.run_in_executor(workers, _interpreter, data)
        return LiveRelease(
            data=data,
            catalogue=ReleaseCatalogue(data.items, content, data.mean),
            sources=sources,
            fill=FillSource(content.silent),
            encoder=self._text_encoder(encoder, data),
            user_tower=_user_tower(served["user_tower"], data) if "user_tower" in served else None,
            ranker=_ranker("ranker", served, data, data.rank_scaling),
            text_ranker=_ranker("text_ranker", served, data, data.text_rank_scaling),
            languages=EncoderLanguages(folder.manifest.encoder.languages, self.detector),
            interpreter=interpreter,
        )

    def _read(self, folder: ReleaseFolder, canaries: CanaryFile) -> ReleaseData:
        if folder.manifest.encoder.languages:
            self.detector.open()
        return read_release(folder, canaries, self.places)

    def _text_encoder(self, model: ServedModel, data: ReleaseData) -> TextEncoder:
        entry: EncoderEntry = data.manifest.encoder
        limits = BatchLimits(length_buckets(entry.max_tokens), entry.pad_token_id, entry.max_batch_size)
        prompts = Prompts(entry.query_prompt, entry.passage_prompt)
        batcher = encoder_batcher(model, limits, self.observer)
        return TextEncoder(data.tokenizer, model, batcher, self.models.workers, prompts)


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
