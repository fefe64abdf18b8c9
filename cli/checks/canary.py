"""A text, or a few numbers, through a real Triton: the only check that all parts together do what they should."""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.checks.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from domain.release_folder import ReleaseFolder
    from server.models.canary import Canary
    from server.triton.client import TritonClient

_NAME = "canary"
_TIMEOUT_S = 60.0
_TINY_MODEL = Path(__file__).parent / "canary.onnx"
# The mean of the rows 1, 2 and 3 of that model's table, and the row 4, each brought to length 1.
_TINY_IDS = ((1, 2, 3), (4, 0, 0))
_TINY_VECTORS = ((0.5, 0.5, 0.5, 0.5), (0.6, 0.0, 0.8, 0.0))


@dataclass(frozen=True)
class EncoderCanary:
    """An encoder, with a batch for Triton and the expected answer.

    Attributes:
        what: the encoder in words.
        model: its ONNX file.
        config: config.pbtxt.
        batch: padded texts, and their vectors as known beforehand.
    """

    what: str
    model: Path
    config: str
    batch: "Canary"


def check_canary(triton_env: Path, folder: "ReleaseFolder | None") -> Finding:
    """Starts the embedded Triton beside whatever runs, encodes canaries, compares, and ends it.

    Args:
        triton_env: the virtual environment with nvidia-pytriton.
        folder: a verified release, or None for a model of a few numbers.
    """
    from domain.errors import ShortlistError

    started = time.monotonic()
    remedy = "the last lines of Triton's log stand above; `make setup` makes Triton's environment again"
    try:
        canary = _of_release(folder) if folder is not None else _tiny()
        with tempfile.TemporaryDirectory(prefix="shortlist-doctor-") as place:
            call_ms, difference = asyncio.run(_through_embedded(canary, triton_env, Path(place)))
    except ShortlistError as error:
        return fail(_NAME, f"{error}", remedy)
    if difference:
        return fail(_NAME, f"{canary.what} through Triton is another: it {difference}", remedy)
    took_s = time.monotonic() - started
    return ok(
        _NAME, f"{canary.what}, as expected through a real Triton: {call_ms:.1f} ms a call, {took_s:.1f} s in all"
    )


def check_external(address: str, key_file: Path | None, folder: "ReleaseFolder | None") -> Finding:
    """Asks a Triton that somebody else runs; changes nothing there.

    Args:
        address: HOST:PORT of its gRPC endpoint.
        key_file: with the key of its restricted protocols.
        folder: a verified release whose encoder it may have, or None.
    """
    from domain.errors import ShortlistError
    from server.triton.access_key import read_access_key

    remedy = 'start it as docs/operations.md says under "Somebody else\'s", or name another with --triton'
    try:
        key = None if key_file is None else read_access_key(key_file)
        return asyncio.run(_ask_external(address, key, folder))
    except ShortlistError as error:
        return fail(_NAME, str(error), remedy)


async def _ask_external(address: str, key: "object", folder: "ReleaseFolder | None") -> Finding:
    from domain.errors import ShortlistError
    from server.triton.client import TritonClient

    async with TritonClient(address, key) as client:  # type: ignore[arg-type]
        await client.wait_until_live(5.0)
        # Under explicit control this does nothing; otherwise Triton says that it may not be told.
        await client.unload("shortlist-doctor-asks-for-explicit-control")
        versions = await client.ready_versions("encoder")
        found = f"Triton at {address} answers and lets models be chosen; versions of the encoder: "
        found += ", ".join(map(str, versions)) or "none yet, a gateway loads one"
        if folder is None or not versions:
            return ok(_NAME, found)
        canary = _of_release(folder)
        for version in reversed(versions):
            try:
                call_ms, difference = await _ask(client, canary, version)
            except ShortlistError:
                continue  # an encoder of another kind
            if not difference:
                return ok(_NAME, f"{found}; {version} is that of {folder.manifest.release_id}, {call_ms:.1f} ms a call")
        return warn(_NAME, f"{found}; none is that of {folder.manifest.release_id}", "a gateway over it loads it")


async def _through_embedded(canary: EncoderCanary, triton_env: Path, place: Path) -> tuple[float, str]:
    from server.triton.client import TritonClient
    from server.triton.embedded import EmbeddedTriton, EmbeddedTritonSettings

    version = place / "models" / "encoder" / "1"
    version.mkdir(parents=True)
    (version / "model.onnx").symlink_to(canary.model.resolve())
    (version.parent / "config.pbtxt").write_text(canary.config, encoding="utf-8")
    settings = EmbeddedTritonSettings(
        triton_env=triton_env,
        model_repository=place / "models",
        state_folder=place / "state",
        log_path=place / "triton.log",
        exit_timeout_s=0,
    )
    async with EmbeddedTriton(settings, _nothing) as triton, TritonClient(triton.grpc_address) as client:
        await client.load("encoder", canary.config, [1], _TIMEOUT_S)
        return await _ask(client, canary, 1)


async def _nothing() -> None:
    """A Triton that dies under the canary is not mended: the next call fails, and that is the finding."""


async def _ask(client: "TritonClient", canary: EncoderCanary, version: int) -> tuple[float, str]:
    """Returns milliseconds of a call, and how the vectors differ, "" where they don't."""
    from core.triton.model_config import ENCODER_OUTPUT
    from server.models.canary import vector_difference

    inputs = canary.batch.inputs
    vectors = await client.infer("encoder", version, inputs, output=ENCODER_OUTPUT, timeout_s=_TIMEOUT_S)
    alone = {name: array[:1] for name, array in inputs.items()}
    started = time.monotonic()
    await client.infer("encoder", version, alone, output=ENCODER_OUTPUT, timeout_s=_TIMEOUT_S)
    call_ms = 1e3 * (time.monotonic() - started)
    return call_ms, vector_difference(vectors, canary.batch.answer)


def _of_release(folder: "ReleaseFolder") -> EncoderCanary:
    from core.triton.model_config import encoder_config
    from server.release.canaries import CanaryFile

    entry = folder.manifest.encoder
    # The first batch is one text alone.
    batch = CanaryFile.read(folder).encoder_canaries(folder)[1]
    return EncoderCanary(
        f"{len(batch.answer)} texts of release {folder.manifest.release_id}",
        folder.path / entry.file,
        encoder_config(entry.max_tokens, entry.max_batch_size, warm_up=False),
        batch,
    )


def _tiny() -> EncoderCanary:
    import numpy as np

    from core.triton.model_config import encoder_config
    from server.models.canary import Canary

    ids = np.array(_TINY_IDS, dtype=np.int64)
    batch = Canary(
        {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}, np.array(_TINY_VECTORS, dtype=np.float32)
    )
    return EncoderCanary("a small model", _TINY_MODEL, encoder_config(16, warm_up=False), batch)
