"""Brings a release to life: verify, load into Triton, compare canaries, warm up. Only then may it serve."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from core.text.tokenize import pad
from core.triton.model_config import encoder_config, length_buckets
from core.triton.model_repository import install_model
from domain import release_folder as layout
from domain.errors import DeadlineExceeded, EncoderUnavailable, ReleaseRejected, TritonUnresponsive
from domain.manifest import EncoderEntry, Manifest
from domain.prompts import Prompts
from domain.recommendation import Source
from domain.release_folder import ReleaseFolder
from server.models.batcher import Batcher, BatchLimits, BatchObserver
from server.models.encoder_variant import EncoderChoice
from server.models.ranker import Ranker
from server.models.served_model import ServedModel
from server.models.start import start_model
from server.models.text_encoder import TextEncoder
from server.models.user_tower import UserTower
from server.release.canaries import EncoderCanaries
from server.release.data import ReleaseData, read_release
from server.release.loader import ModelLoader, ModelServer

# Same weights, same precision: other kernels and thread counts move the cosine by 1e-7.
CANARY_COSINE = 0.9999

_CALL_TIMEOUT_S = 30.0


class Triton(ModelServer, Protocol):
    """What a live release needs of Triton."""

    async def encode(
        self, input_ids: np.ndarray, attention_mask: np.ndarray, *, version: int, timeout_s: float
    ) -> np.ndarray:
        """Encodes int64[B, L] into float32[B, d]."""


def canary_difference(found: np.ndarray, expected: np.ndarray) -> str:
    """Says how Triton's vectors of canaries differ from the release's, both float32[c, d]; empty where they agree."""
    if found.shape != expected.shape:
        return f"it has width {found.shape[1]}, the release {expected.shape[1]}"
    cosine = float((found * expected).sum(axis=1).min())
    if not cosine >= CANARY_COSINE:
        return f"it encodes the canary texts differently (cosine {cosine:.4f}, at least {CANARY_COSINE} expected)"
    return ""


def _ranker(model: ServedModel, data: ReleaseData) -> Ranker:
    assert data.rank_scaling is not None and data.item_facts is not None  # the manifest has a ranker
    return Ranker(model, data.rank_scaling, data.item_facts, data.blend.list_lengths.get(Source.POPULAR, 0))


def _prompts_of(entry: EncoderEntry) -> Prompts:
    return Prompts(entry.query_prompt, entry.passage_prompt)


@dataclass(frozen=True)
class LiveRelease:
    """A release that serves: its data and its models on Triton. Everything in it is read-only.

    Attributes:
        data: read from its files.
        unreadable: bool[n], items whose text the encoder cannot read: their vectors carry no meaning, so only shared
            words find them.
        encoder: text to vectors.
        encoder_version: the model version in Triton that holds this release's encoder.
        user_tower: history to vector; None where not trained.
        ranker: features to logits; None where not trained.
    """

    data: ReleaseData
    unreadable: np.ndarray
    encoder: TextEncoder
    encoder_version: int
    user_tower: UserTower | None = None
    ranker: Ranker | None = None

    @property
    def manifest(self) -> Manifest:
        """The release's description."""
        return self.data.manifest

    def trained_models(self) -> Iterator[ServedModel]:
        """Yields every model on Triton besides the encoder."""
        if self.user_tower is not None:
            yield self.user_tower.model
        if self.ranker is not None:
            yield self.ranker.model


@dataclass(frozen=True)
class ReleaseLoader:
    """Loads releases.

    Attributes:
        triton: where models run.
        repository: the model repository that this process and Triton both see.
        workers: threads for disk and hashing.
        observer: counts batches.
        unreadable_limit: above this share of text that the encoder cannot read, an item's vector says nothing.
        shared: whether other gateways use the same Triton.
        choice: how the encoder is to be served.
    """

    triton: Triton
    repository: Path
    workers: Executor
    observer: BatchObserver
    unreadable_limit: float
    shared: bool
    choice: EncoderChoice = field(default_factory=EncoderChoice)

    async def load(self, folder: ReleaseFolder, on_step: Callable[[str], None] = lambda _: None) -> LiveRelease:
        """Verifies a release, loads it into Triton and returns it warm.

        Raises:
            ReleaseRejected: corrupt, of another width than Triton's answers, or canaries differ.
            TritonNotUsable: Triton is not there or not under explicit control.
            TritonUnresponsive: it went away, or the model's process stood still, at each of three attempts.
            StorageError: the model repository cannot be written.
        """
        loop = asyncio.get_running_loop()
        on_step("verifying")
        await loop.run_in_executor(self.workers, layout.verify, folder)
        reading = loop.run_in_executor(self.workers, read_release, folder)
        entry = folder.manifest.encoder
        version = await loop.run_in_executor(self.workers, self._install, folder)

        async def start(*, afresh: bool) -> None:
            on_step("loading the encoder into Triton")
            await (self.reload_version(entry, version) if afresh else self._load_encoder(folder, version))
            on_step("comparing canaries")
            await self._compare_canaries(folder.manifest, version, (await reading).encoder_canaries)
            on_step("warming up")
            await self._warm_up(entry, version)

        await start_model(start, self.triton, on_step)
        data = await reading
        served = await self.models.load(folder, data, on_step)
        # Each thread makes its own tokenizer on first use, which takes tens of milliseconds; the loop's is made here.
        data.tokenizer.tokenize(("warm",))
        return LiveRelease(
            data=data,
            unreadable=data.unreadable_share > self.unreadable_limit,
            encoder=TextEncoder(data.tokenizer, self._batcher(entry, version), self.workers, _prompts_of(entry)),
            encoder_version=version,
            user_tower=UserTower(served["user_tower"], data.index.vectors) if "user_tower" in served else None,
            ranker=_ranker(served["ranker"], data) if "ranker" in served else None,
        )

    @property
    def models(self) -> ModelLoader:
        """Loads the trained models besides the encoder."""
        return ModelLoader(self.triton, self.repository, self.workers, shared=self.shared)

    async def load_version(self, entry: EncoderEntry, version: int) -> None:
        """Has Triton load this version; also after Triton was restarted.

        A Triton of our own serves exactly this version. On a shared one, the versions that other gateways serve stay.
        """
        await self.models.load_version(entry.triton_model, version, self._config_of(entry))

    async def reload_version(self, entry: EncoderEntry, version: int) -> None:
        """Has Triton start the model afresh: loading what counts as loaded does nothing."""
        await self.models.reload_version(entry.triton_model, version, self._config_of(entry))

    async def check_canaries(
        self, manifest: Manifest, version: int, canaries: EncoderCanaries, timeout_s: float = _CALL_TIMEOUT_S
    ) -> None:
        """Encodes the canaries through Triton: the first alone, then all in the largest batches there may be.

        Raises:
            ReleaseRejected: Triton's vectors are not those of the release.
            EncoderUnavailable, DeadlineExceeded: Triton did not answer.
        """
        entry, longest = manifest.encoder, max(len(row) for row in canaries.token_ids)
        cuts = range(0, len(canaries.token_ids), entry.max_batch_size)
        batches = [slice(cut, cut + entry.max_batch_size) for cut in cuts]
        for part, length in ((slice(0, 1), len(canaries.token_ids[0])), *((batch, longest) for batch in batches)):
            arrays = pad(canaries.token_ids[part], length, entry.pad_token_id)
            found = await self.triton.encode(*arrays, version=version, timeout_s=timeout_s)
            difference = canary_difference(found, canaries.vectors[part])
            if difference:
                raise ReleaseRejected(
                    f"version {version} in Triton is not the encoder of release {manifest.release_id}: {difference}; "
                    "do Triton and the gateway see the same model repository?"
                )

    async def _compare_canaries(self, manifest: Manifest, version: int, canaries: EncoderCanaries) -> None:
        try:
            await self.check_canaries(manifest, version, canaries)
        except TritonUnresponsive:
            raise
        except (EncoderUnavailable, DeadlineExceeded) as error:
            raise ReleaseRejected(
                f"Triton cannot encode the canary texts of release {manifest.release_id}: {error}; "
                "do Triton and the gateway see the same model repository?"
            ) from error

    async def _warm_up(self, entry: EncoderEntry, version: int) -> None:
        """Runs every length bucket once, whether or not Triton's own warm-up did."""
        for bucket in length_buckets(entry.max_tokens):
            input_ids, attention_mask = pad([np.full(bucket, entry.pad_token_id)], bucket, entry.pad_token_id)
            try:
                await self.triton.encode(input_ids, attention_mask, version=version, timeout_s=_CALL_TIMEOUT_S)
            except TritonUnresponsive:
                raise
            except (EncoderUnavailable, DeadlineExceeded) as error:
                raise ReleaseRejected(f"warm-up with {bucket} tokens failed: {error}") from error

    def _install(self, folder: ReleaseFolder) -> int:
        entry = folder.manifest.encoder
        return install_model(
            self.repository,
            entry.triton_model,
            folder.path / entry.file,
            folder.manifest.files[entry.file].sha256,
            encoder_config(),
        )

    async def _load_encoder(self, folder: ReleaseFolder, version: int) -> None:
        entry = folder.manifest.encoder
        place = self.repository / entry.triton_model / str(version)
        sha256 = folder.manifest.files[entry.file].sha256
        await asyncio.get_running_loop().run_in_executor(self.workers, self.choice.check, entry, sha256, place)
        try:
            await self.load_version(entry, version)
        except ReleaseRejected as error:
            raise self.choice.explained(error, place) from error

    def _config_of(self, entry: EncoderEntry) -> Callable[[bool], str]:
        return lambda alone: self.choice.config(entry, warm_up=alone)

    def _batcher(self, entry: EncoderEntry, version: int) -> Batcher:
        async def encode(input_ids: np.ndarray, attention_mask: np.ndarray, timeout_s: float) -> np.ndarray:
            return await self.triton.encode(input_ids, attention_mask, version=version, timeout_s=timeout_s)

        limits = BatchLimits(length_buckets(entry.max_tokens), entry.pad_token_id, entry.max_batch_size)
        return Batcher(encode, limits, self.observer)
