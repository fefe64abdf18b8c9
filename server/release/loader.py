"""Loads models into Triton: the next free version, exactly that one served, compared with its canary and warm."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from core.ranking.tower_input import event_buckets
from core.triton.model_config import SIGNATURES, model_config
from core.triton.model_repository import install_model
from domain.errors import DeadlineExceeded, ModelUnavailable, ReleaseRejected, TritonUnresponsive
from domain.manifest import ModelEntry
from domain.release_folder import ReleaseFolder
from server.models.served_model import Inference, LoadedModel, ServedModel
from server.models.start import Server, start_model
from server.release.data import ReleaseData

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
        self, folder: ReleaseFolder, data: ReleaseData, on_step: Callable[[str], None]
    ) -> dict[str, ServedModel]:
        """Loads the trained models of a release and returns them, warm, by their names.

        Raises:
            ReleaseRejected: Triton refuses a model, or answers its canary differently.
            TritonNotUsable, StorageError: as `ReleaseLoader.load`.
        """
        served = {}
        for name in folder.manifest.models:
            served[name] = await self._serve(folder, name, data, on_step)
        return served

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
        self, folder: ReleaseFolder, name: str, data: ReleaseData, on_step: Callable[[str], None]
    ) -> ServedModel:
        entry = folder.manifest.models[name]
        if name not in SIGNATURES or entry.triton_model != name:
            raise ReleaseRejected(f"{folder.path} has a model {name} that this program doesn't know; update Shortlist")
        version = await asyncio.get_running_loop().run_in_executor(self.workers, self._install, folder, name)
        canary = data.model_canaries[name]
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


def _stretched(array: np.ndarray, length: int) -> np.ndarray:
    """Returns [1, length, ...] of [B, L, ...]."""
    row = array[:1, :length]
    return np.concatenate([row, np.repeat(row[:, -1:], length - row.shape[1], axis=1)], axis=1)
