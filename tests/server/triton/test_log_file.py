import asyncio
import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from core.triton.model_config import encoder_config
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton
from server.triton.log_file import keep_small


def test_a_short_log_and_none_stay_as_they_are(tmp_path: Path):
    log = tmp_path / "triton.log"
    assert not keep_small(log, 10)
    log.write_bytes(b"x" * 10)
    assert not keep_small(log, 10)
    assert (log.read_bytes(), os.listdir(tmp_path)) == (b"x" * 10, ["triton.log"])


def test_a_long_one_is_kept_beside_and_its_writer_goes_on(tmp_path: Path):
    log = tmp_path / "triton.log"
    (tmp_path / "triton.log.1").write_text("older")
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 11)
        assert keep_small(log, 10)
        writer.write(b"new")
    assert log.read_bytes() == b"new"
    assert (tmp_path / "triton.log.1").read_bytes() == b"x" * 11


def test_a_full_disk_is_given_room(tmp_path: Path):
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a small file system: needs root")
    try:
        (tmp_path / "triton.log").write_bytes(bytes(1 << 20))
        assert keep_small(tmp_path / "triton.log", 10)
        assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("triton.log", 0)]
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@pytest.mark.triton
async def test_the_log_of_a_running_triton(settings, no_reload):
    settings = dataclasses.replace(settings, log_limit_bytes=500, log_check_s=0.05)
    kept = settings.log_path.with_name("triton.log.1")
    async with EmbeddedTriton(settings, no_reload) as triton, TritonClient(triton.grpc_address) as client:
        while not kept.exists():
            await asyncio.sleep(0.05)
        await client.load("encoder", encoder_config(max_tokens=16), [1], timeout_s=30)
        while settings.log_path.stat().st_size > 500:  # what the load added is cut off in its turn
            await asyncio.sleep(0.05)
        assert b"\0" not in settings.log_path.read_bytes() + kept.read_bytes()
