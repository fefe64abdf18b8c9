"""`torchrun ... shortlist train` with two processes on the processor: one model folder, one refusal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.small_encoder import write_encoder
from tests.support.synthetic import GROUPS, texts_and_groups

ROOT = Path(__file__).parents[2]
SETTINGS = (
    "encoder.folds=1",
    "encoder.whitening=[0.5]",
    "encoder.bag_gain=[0.0]",
    "encoder.latent_gain=[0.0]",
    "encoder.latent_width=4",
    "encoder.contrastive.mode=full",
    "encoder.contrastive.steps=2",
    "encoder.contrastive.batch_size=4",
    "encoder.contrastive.mini_batch_size=2",
    "encoder.contrastive.validations=1",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    texts, groups = texts_and_groups(60)
    lines = [json.dumps({"id": f"i{row}", "title": text}) for row, text in enumerate(texts)]
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n")
    events = [
        f"u{user},i{row},{10 * user + row}"
        for user in range(24)
        for row, group in enumerate(groups)
        if group == user % GROUPS and (row + user) % 3
    ]
    (folder / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp", *events]) + "\n")
    write_encoder(folder / "encoder")
    return folder


def train(data, out, *more):
    """Runs `shortlist train` in two processes; returns the exit status, and what both wrote."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cli.main"]
    command += ["train", "--items", str(data / "items.jsonl"), "--interactions", str(data / "interactions.csv")]
    command += ["--encoder", str(data / "encoder"), "--out", str(out), "--cache", str(data / "cache"), *more]
    command += [word for setting in SETTINGS for word in ("--set", setting)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.slow
def test_two_processes_train_one_model_folder_and_are_refused_as_one(data, tmp_path):
    out = tmp_path / "model"
    status, told, errors = train(data, out, "--only", "encoder,collaborative")
    assert status == 0, errors[-3000:]
    assert told.count("] encoder\n") == 1
    assert "with 2 processes" in told
    run = json.loads((out / "run.json").read_text())
    assert set(run["steps"]) == {"encoder", "collaborative"}
    assert 0 < run["steps"]["encoder"]["metrics"]["held_ndcg_at_100"] <= 1

    status, told, errors = train(data, out, "--only", "encoder", "--protocol", "warm-users")
    assert status == 1
    assert errors.count("was begun with other data, another protocol or another seed") == 1
    assert "RuntimeError" not in errors  # the other process ends with the first, it does not break
