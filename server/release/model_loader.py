"""Loader of models into Triton: install, load, compare the canaries, warm up."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from core.triton.model_repository import install_model
from domain.errors import DeadlineExceeded, ModelUnavailable, ReleaseRejected, TritonUnresponsive
from domain.pace import unhurried
from domain.progress import Progress
from server.models.model_server import ModelServer
from server.models.model_spec import ModelSpec
from server.models.served_model import ServedModel
from server.models.start import start_model

_LOAD_TIMEOUT_S = 120.0
_CALL_TIMEOUT_S = 30.0
# Of what is asked beside requests: so many rows at once, and pauses as a multiple of what each call took.
_ROWS_BESIDE = 2
_PAUSE = 2.0

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class ModelLoader:
    """Loader of models into Triton.

    Attributes:
        triton: where models run.
        repository: the model repository that this process and Triton both see.
        workers: threads for disk and hashing.
        shared: whether versions that are served must stay: other gateways use the same Triton, or releases are tried.
        beside: whether a release serves meanwhile: versions stay, a version that is served already is not started
            again, and everything is done in small pieces with rests.
        turns: one for each model's name: which versions stay is only known while no other one is loaded.
        configs: what a Triton of our own was last told of each model's name.
    """

    triton: ModelServer
    repository: Path
    workers: Executor
    shared: bool
    beside: bool = False
    turns: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock), repr=False, compare=False
    )
    configs: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    async def run(self, work: Callable[_Given, _Made], *args: _Given.args, **kwargs: _Given.kwargs) -> _Made:
        """Does blocking work in a thread; in small pieces where a release serves meanwhile."""
        run = asyncio.get_running_loop().run_in_executor
        if self.beside:
            return await run(self.workers, lambda: unhurried(work, *args, **kwargs))
        return await run(self.workers, lambda: work(*args, **kwargs))

    async def serve(self, spec: ModelSpec, progress: Progress) -> ServedModel:
        """Installs a model, loads it, compares its canaries and warms it up.

        Raises:
            ReleaseRejected: Triton refuses it, or answers its canaries differently.
            TritonNotUsable: Triton is not there or not under explicit control.
            TritonUnresponsive: it ended, or the model's process stood still, at each of three attempts.
            StorageError: the model repository cannot be written.
        """
        model = ServedModel(self.triton, spec, await self.run(self._install, spec))
        place = self._version_folder(model)

        async def start(*, afresh: bool) -> None:
            progress.step(f"loading the {spec.title} into Triton")
            if afresh:
                await self.reload(model, warm_up=True)
            else:
                await self.run(spec.config.check, place)
                try:
                    await self.load(model)
                except ReleaseRejected as error:
                    raise spec.config.explained(error, place) from error
            progress.step(f"comparing the canaries of the {spec.title}")
            await self._compare_canaries(model)
            progress.step(f"warming up the {spec.title}")
            await self._warm_up(model)

        if await self._is_served(model):
            await self._compare_canaries(model)
        else:
            await start_model(start, self.triton, progress)
        return model

    async def load(self, model: ServedModel, *, warm_up: bool = True) -> None:
        """Has Triton serve the model's version; also after Triton was restarted.

        A Triton of our own serves exactly this version. On a shared one, the versions that other gateways serve stay.

        Args:
            model: the model.
            warm_up: whether Triton runs every shape before it counts as loaded; seconds that callers of a model that
                was away would be answered without it.
        """
        async with self.turns[model.spec.name]:
            await self._load(model, await self._others(model), warm_up=warm_up)

    async def reload(self, model: ServedModel, *, warm_up: bool = False) -> None:
        """Has Triton start the model afresh: loading what counts as loaded does nothing."""
        async with self.turns[model.spec.name]:
            others = await self._others(model)
            await self.triton.unload(model.spec.name)
            await self._load(model, others, warm_up=warm_up)

    async def serve_versions(self, name: str, configs: Mapping[int, str]) -> None:
        """Has a Triton of our own serve exactly these versions of a model, with the first one's configuration."""
        async with self.turns[name]:
            if set(await self.triton.ready_versions(name)) != set(configs):
                config = next(iter(configs.values()))
                await self.triton.load(name, config, sorted(configs), _LOAD_TIMEOUT_S)
                self.configs[name] = config

    def is_way(self, spec: ModelSpec) -> bool:
        """Returns whether a model's configuration is the one that Triton has, for all versions, while one serves."""
        return self.beside and self.configs.get(spec.name) == spec.config.text(warm_up=False)

    async def check(self, model: ServedModel) -> None:
        """Asks with every canary; raises as `ServedModel.compare`."""
        for canary in model.spec.canaries:
            for part in canary.parts(_ROWS_BESIDE) if self.beside else (canary,):
                await self._paced(model.compare(part, _CALL_TIMEOUT_S))

    async def _is_served(self, model: ServedModel) -> bool:
        """Returns whether the model's version is served, in the way of its configuration, by what serves meanwhile."""
        if self.shared or not self.is_way(model.spec):
            return False
        return model.version in await self.triton.ready_versions(model.spec.name)

    async def _others(self, model: ServedModel) -> tuple[int, ...]:
        return await self.triton.ready_versions(model.spec.name) if self.shared or self.beside else ()

    async def _load(self, model: ServedModel, others: tuple[int, ...], *, warm_up: bool) -> None:
        versions = sorted({model.version, *others})
        # One configuration holds for all versions: another encoder may not take this one's lengths, so where others
        # are served Triton warms nothing up, and each gateway its own version.
        config = model.spec.config.text(warm_up=warm_up and len(versions) == 1)
        await self.triton.load(model.spec.name, config, versions, _LOAD_TIMEOUT_S)
        self.configs[model.spec.name] = model.spec.config.text(warm_up=False)

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

    async def _warm_up(self, model: ServedModel) -> None:
        """Runs every shape once, whether or not Triton's own warm-up did."""
        for inputs in model.spec.warm_up_inputs:
            try:
                await self._paced(model.infer(inputs, _CALL_TIMEOUT_S))
            except TritonUnresponsive:
                raise
            except (ModelUnavailable, DeadlineExceeded) as error:
                shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in inputs.items())
                raise ReleaseRejected(f"the warm-up of the {model.spec.title} with {shapes} failed: {error}") from error

    async def _paced(self, call: Awaitable[object]) -> None:
        """Waits for a call, and pauses behind it where a release serves meanwhile."""
        since_s = time.monotonic()
        await call
        if self.beside:
            await asyncio.sleep(_PAUSE * (time.monotonic() - since_s))

    def _install(self, spec: ModelSpec) -> int:
        config = spec.config.text(warm_up=True)
        return install_model(self.repository, spec.name, spec.file, spec.sha256, config)

    def _version_folder(self, model: ServedModel) -> Path:
        return self.repository / model.spec.name / str(model.version)
