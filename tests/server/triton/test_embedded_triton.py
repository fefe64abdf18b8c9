"""The supervised child, always the real tritonserver."""

import asyncio
import dataclasses
import logging
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from core.triton.model_config import encoder_config
from domain.errors import ModelUnavailable, StorageError, TritonNotUsable
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton
from tests.support.encoder_calls import encode

pytestmark = pytest.mark.triton

CONFIG = encoder_config(max_tokens=16)
ROOT = Path(__file__).parents[3]


def processes_of(group: int) -> list[int]:
    """Ids of the living processes of a group; zombies have ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group_id = path.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(group_id) == group and state not in ("Z", "X"):
            found.append(int(path.parent.name))
    return found


def triton_processes_of(group: int) -> list[int]:
    """Those of them that are Triton's: the server and its stubs, without the shells that watch over the stubs."""
    return [pid for pid in processes_of(group) if "triton" in Path(f"/proc/{pid}/comm").read_text()]


def own_servers() -> list[str]:
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "tritonserver\n"]


def shared_memory_of(owner_pid: int) -> list[str]:
    return [name for name in os.listdir("/dev/shm") if name.startswith(f"shortlist-{owner_pid}-")]


async def until(condition, timeout_s: float) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < timeout_s, "not in time"
        await asyncio.sleep(0.02)
    return time.monotonic() - start


async def test_it_starts_with_a_socket_a_log_and_no_model(triton, client):
    assert triton.restart_count == 0
    assert Path(f"/proc/{triton.pid}/comm").read_text() == "tritonserver\n"
    assert not await client.model_ready("encoder", 1)
    assert f"Started GRPCInferenceService at {triton.grpc_address}" in triton.log_path.read_text()
    path = Path(triton.grpc_address.removeprefix("unix:"))
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path.parent, path)] == [0o700, 0o700]


async def test_closing_leaves_no_process_and_no_shared_memory(settings, no_reload):
    gentle = dataclasses.replace(settings, exit_timeout_s=5)
    async with EmbeddedTriton(gentle, no_reload) as triton, TritonClient(triton.grpc_address) as client:
        await client.load("encoder", CONFIG, [1], timeout_s=30)
        group = triton.pid
        assert len(triton_processes_of(group)) == 2  # the server and a stub
        assert shared_memory_of(os.getpid())
    assert processes_of(group) == []
    assert shared_memory_of(os.getpid()) == []
    assert triton.pid is None
    assert "successfully unloaded" in triton.log_path.read_text()  # it was asked, not killed


async def test_a_killed_child_is_started_again_and_serves_again(settings, texts, record_property):
    calls = []

    async def load_live_versions() -> None:
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise RuntimeError("the first attempt fails")
        await client.load("encoder", CONFIG, [1, 2], timeout_s=30)

    request = texts(1, 16)
    async with EmbeddedTriton(settings, load_live_versions) as triton, TritonClient(triton.grpc_address) as client:
        await client.load("encoder", CONFIG, [1, 2], timeout_s=30)
        before = await encode(client, *request, version=1, timeout_s=5)
        address, group = triton.grpc_address, triton.pid
        for restart_count in (1, 2):
            calls.clear()
            start = time.monotonic()
            os.kill(triton.pid, signal.SIGKILL)
            await until(lambda wanted=restart_count: triton.restart_count == wanted, 20)
            while not (await client.model_ready("encoder", 1) and await client.model_ready("encoder", 2)):
                assert time.monotonic() - start < 20
                await asyncio.sleep(0.02)
            after = await encode(client, *request, version=1, timeout_s=5)
            seconds = time.monotonic() - start
            record_property(f"restart_{restart_count}_s", round(seconds, 2))
            logging.getLogger(__name__).warning("restart %d: serving again after %.2f s", restart_count, seconds)
            assert (after == before).all()
            assert len(calls) == 2
            assert triton.grpc_address == address
        assert triton.pid not in (None, group)
        assert processes_of(group) == []  # the first server's stubs went with it
    assert shared_memory_of(os.getpid()) == []


async def test_nothing_outlives_a_killed_parent(settings, tmp_path, record_property):
    script = f"""
import asyncio, sys
from pathlib import Path
from core.triton.model_config import encoder_config
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton, EmbeddedTritonSettings

async def nothing():
    pass

async def main():
    settings = EmbeddedTritonSettings(
        triton_env=Path({str(settings.triton_env)!r}), model_repository=Path({str(settings.model_repository)!r}),
        state_folder=Path({str(settings.state_folder)!r}), log_path=Path({str(settings.log_path)!r}))
    async with EmbeddedTriton(settings, nothing) as triton, TritonClient(triton.grpc_address) as client:
        await client.load("encoder", encoder_config(max_tokens=16), [1, 2], timeout_s=30)
        print(triton.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        group = int(await asyncio.to_thread(parent.stdout.readline))
        assert len(triton_processes_of(group)) == 3
        parent.kill()
    seconds = await until(lambda: not processes_of(group), 15)
    record_property("gone_s", round(seconds, 2))
    logging.getLogger(__name__).warning("everything gone after %.2f s", seconds)
    await until(lambda: not shared_memory_of(parent.pid), 6)


async def test_a_temporary_folder_with_a_long_path_does_not_matter(settings, no_reload, tmp_path, monkeypatch):
    place = tmp_path / ("long" * 30)
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    async with EmbeddedTriton(settings, no_reload) as triton, TritonClient(triton.grpc_address) as client:
        assert await client.is_live()
        folder = Path(triton.grpc_address.removeprefix("unix:")).parent
    assert not folder.exists()


async def test_a_server_that_ends_at_its_start_shows_its_last_words(settings, no_reload, tmp_path):
    # A binary that says something and ends stands for one that cannot run here.
    env = tmp_path / "env"
    source = next(settings.triton_env.glob("lib/python3.*"))
    packages = env / "lib" / source.name / "site-packages"
    packages.mkdir(parents=True)
    (packages / "nvidia_pytriton.libs").symlink_to(source.resolve() / "site-packages/nvidia_pytriton.libs")
    server, real = packages / "pytriton/tritonserver", source.resolve() / "site-packages/pytriton/tritonserver"
    (server / "bin").mkdir(parents=True)
    for part in ("backends", "python_backend_stubs"):
        (server / part).symlink_to(real / part)
    (server / "bin/tritonserver").write_text("#!/bin/sh\necho no such instruction\nexit 3\n")
    (server / "bin/tritonserver").chmod(0o755)
    (env / "pyvenv.cfg").symlink_to((settings.triton_env / "pyvenv.cfg").resolve())

    with pytest.raises(TritonNotUsable, match=r"ended with 3 at its start.*\n?.*no such instruction"):
        await EmbeddedTriton(dataclasses.replace(settings, triton_env=env), no_reload).open()


async def test_two_at_once_share_a_state_folder(settings, no_reload):
    other = dataclasses.replace(settings, log_path=settings.log_path.with_name("other.log"))
    one, two = EmbeddedTriton(settings, no_reload), EmbeddedTriton(other, no_reload)
    try:
        await asyncio.gather(one.open(), two.open())
        assert one.grpc_address != two.grpc_address
        for each in (one, two):
            async with TritonClient(each.grpc_address) as client:
                await client.load("encoder", CONFIG, [1], timeout_s=30)
    finally:
        await one.aclose()
        await two.aclose()


async def test_opening_may_be_cancelled(settings, no_reload):
    triton = EmbeddedTriton(settings, no_reload)
    opening = asyncio.create_task(triton.open())
    await until(own_servers, 10)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await triton.aclose()
    assert own_servers() == []


async def test_a_missing_repository_and_an_unwritable_log(settings, no_reload, tmp_path):
    with pytest.raises(TritonNotUsable, match="model repository"):
        await EmbeddedTriton(dataclasses.replace(settings, model_repository=tmp_path / "no"), no_reload).open()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="log"):
        await EmbeddedTriton(dataclasses.replace(settings, log_path=tmp_path / "file/log"), no_reload).open()


async def test_it_is_opened_on_the_main_thread_only(settings, no_reload):
    def open_elsewhere() -> None:
        asyncio.run(EmbeddedTriton(settings, no_reload).open())

    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(open_elsewhere)


async def test_a_dead_stub_is_mended_by_unloading_first(triton, client, texts):
    # Triton calls the model ready all the same (server #8604), and loading it again does nothing: only a call tells.
    request = texts(1, 16)
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    before = await encode(client, *request, version=1, timeout_s=5)
    [stub] = [pid for pid in triton_processes_of(triton.pid) if pid != triton.pid]
    os.kill(stub, signal.SIGKILL)

    with pytest.raises(ModelUnavailable, match="not healthy"):
        await encode(client, *request, version=1, timeout_s=5)
    assert await client.model_ready("encoder", 1)
    start = time.monotonic()
    await client.unload("encoder")
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    after = await encode(client, *request, version=1, timeout_s=5)
    logging.getLogger(__name__).warning("mended after %.2f s", time.monotonic() - start)
    assert (after == before).all()
    assert triton.restart_count == 0
