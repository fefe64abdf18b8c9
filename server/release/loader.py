"""Loads models into Triton: the next free version, exactly that one served, compared with its canary and warm."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from core.ranking.item_facts import ItemFacts
from core.ranking.tower_input import event_buckets
from core.triton.model_config import SIGNATURES, model_config
from core.triton.model_repository import install_model
from domain.errors import DeadlineExceeded, ModelUnavailable, ReleaseRejected, TritonUnresponsive
from domain.manifest import ModelEntry
from domain.recommendation import Source
from domain.release_folder import ReleaseFolder
from server.models.served_model import Inference, LoadedModel, ServedModel
from server.models.start import Server, start_model
from server.release.contents import ReleaseContents
from server.release.trained_parts import Ranker, TrainedParts, UserTower

_LOAD_TIMEOUT_S = 120.0
_CALL_TIMEOUT_S = 30.0


class ModelServer(Inference, Server, Protocol):
    """What loading needs of Triton."""

    async def load(self, model: str, config_text: str, versions: Sequence[int], timeout_s: float) -> None:
        """Loads exactly these versions and waits until each is ready."""

    async def unload(self, model: str) -> None:
        """Unloads every version of a model."""

    async def ready_versions(self, model: str) -> tuple[int, ...]:
        """Returns the versions of a model that are served now."""


@dataclass(frozen=True)
class ModelLoader:
    """Loads models.

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

    async def load(
        self, folder: ReleaseFolder, contents: ReleaseContents, on_step: Callable[[str], None]
    ) -> TrainedParts:
        """Loads the trained models of a release and returns them, warm, with the tables beside them.

        Raises:
            ReleaseRejected: Triton refuses a model, or answers its canary differently.
            TritonNotUsable, StorageError: as `ReleaseLoader.load`.
        """
        served = {}
        for name in folder.manifest.models:
            served[name] = await self._serve(folder, name, contents, on_step)
        trained = contents.trained
        tower = None
        if "user_tower" in served and trained.tower is not None:
            silent = np.asarray(~trained.tower.any(axis=1))
            tower = UserTower(served["user_tower"], trained.tower, silent, contents.index.vectors)
        ranker = None
        if "ranker" in served and trained.scaling is not None:
            facts = await asyncio.get_running_loop().run_in_executor(self.workers, _facts, contents)
            popular_count = trained.blend.list_lengths.get(Source.POPULAR, 0)
            ranker = Ranker(served["ranker"], trained.scaling, facts, popular_count)
        return TrainedParts(
            neighbours=trained.neighbours,
            item_transitions=trained.item_transitions,
            popularity=trained.popularity,
            aspects=trained.aspects,
            student=trained.student,
            tower=tower,
            ranker=ranker,
            thresholds=folder.manifest.thresholds,
            blend=trained.blend,
        )

    async def load_again(self, model: ServedModel) -> None:
        """Has Triton load a model that was live; also after Triton was restarted."""
        name = model.loaded.entry.triton_model
        await self.load_version(name, model.loaded.version, _config_of(model.loaded.entry))

    async def reload(self, model: ServedModel) -> None:
        """Has Triton start a model afresh: loading what counts as loaded does nothing."""
        name = model.loaded.entry.triton_model
        await self.reload_version(name, model.loaded.version, _config_of(model.loaded.entry))

    async def load_version(self, model: str, version: int, config: Callable[[bool], str]) -> None:
        """Has Triton serve this version.

        A Triton of our own serves exactly this version. On a shared one, the versions that other gateways serve stay.

        Args:
            model: its name.
            version: the version.
            config: makes config.pbtxt, told whether the version is the only one. One configuration holds for all
                versions: another encoder may not take this one's lengths, so where others are served Triton warms
                nothing up, and each gateway its own version.
        """
        others = await self.triton.ready_versions(model) if self.shared else ()
        await self._load(model, {version, *others}, config)

    async def reload_version(self, model: str, version: int, config: Callable[[bool], str]) -> None:
        """Unloads a model and loads it again; see `load_version`."""
        others = await self.triton.ready_versions(model) if self.shared else ()
        await self.triton.unload(model)
        await self._load(model, {version, *others}, config)

    async def _load(self, model: str, versions: set[int], config: Callable[[bool], str]) -> None:
        await self.triton.load(model, config(len(versions) == 1), sorted(versions), _LOAD_TIMEOUT_S)

    async def _serve(
        self, folder: ReleaseFolder, name: str, contents: ReleaseContents, on_step: Callable[[str], None]
    ) -> ServedModel:
        entry = folder.manifest.models[name]
        if name not in SIGNATURES or entry.triton_model != name:
            raise ReleaseRejected(f"{folder.path} has a model {name} that this program doesn't know; update Shortlist")
        version = await asyncio.get_running_loop().run_in_executor(self.workers, self._install, folder, name)
        canary = contents.trained.canaries[name]
        model = ServedModel(self.triton, LoadedModel(entry, SIGNATURES[name].output, version, canary))

        async def start(*, afresh: bool) -> None:
            on_step(f"loading the {name.replace('_', ' ')} into Triton")
            await (self.reload(model) if afresh else self.load_again(model))
            error = await model.probe(_CALL_TIMEOUT_S)
            if isinstance(error, TritonUnresponsive):
                raise error
            if error is not None:
                raise ReleaseRejected(f"release {folder.manifest.release_id}: {error}") from error
            await self._warm_up(name, model)

        await start_model(start, self.triton, on_step)
        return model

    def _install(self, folder: ReleaseFolder, name: str) -> int:
        entry = folder.manifest.models[name]
        digest = folder.manifest.files[entry.file].sha256
        return install_model(
            self.repository, entry.triton_model, folder.path / entry.file, digest, _config_of(entry)(True)
        )

    async def _warm_up(self, name: str, model: ServedModel) -> None:
        """Runs every length once: the canary's last place repeated, or cut off."""
        loaded = model.loaded
        for length in event_buckets(loaded.entry.max_length):
            inputs = {tensor: _stretched(array, length) for tensor, array in loaded.canary.inputs.items()}
            try:
                await self.triton.infer(
                    loaded.entry.triton_model, loaded.version, inputs, output=loaded.output, timeout_s=_CALL_TIMEOUT_S
                )
            except TritonUnresponsive:
                raise
            except (ModelUnavailable, DeadlineExceeded) as error:
                raise ReleaseRejected(f"warm-up of the {name} with length {length} failed: {error}") from error


def _config_of(entry: ModelEntry) -> Callable[[bool], str]:
    return lambda _: model_config(entry.triton_model, entry.max_batch_size)


def _facts(contents: ReleaseContents) -> ItemFacts:
    """Returns what the ranker's features are made from; reads every item."""
    items, trained = contents.items, contents.trained
    return dataclasses.replace(
        ItemFacts.of_items([items.item(row) for row in range(len(items))]),
        vectors=contents.index.vectors,
        mean=contents.mean,
        tower_vectors=trained.tower,
        neighbour_rows=None if trained.neighbours is None else trained.neighbours.rows,
        neighbour_weights=None if trained.neighbours is None else trained.neighbours.weights,
        transition_rows=None if trained.item_transitions is None else trained.item_transitions.rows,
        transition_weights=None if trained.item_transitions is None else trained.item_transitions.weights,
        aspects=trained.ranked_aspects,
        log_popularity=None if trained.popularity is None else trained.popularity.log_prior,
    )


def _stretched(array: np.ndarray, length: int) -> np.ndarray:
    """Returns [1, length, ...] of [B, L, ...]."""
    row = array[:1, :length]
    return np.concatenate([row, np.repeat(row[:, -1:], length - row.shape[1], axis=1)], axis=1)
