"""Run by torchrun in test_contrastive: the second process takes part and ends with the weights of the first."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from domain.progress import SilentProgress
from tests.support.synthetic import cold_split, texts_and_groups
from training.encoder.contrastive import ContrastiveSettings, fine_tune
from training.encoder.folder import load_encoder
from training.encoder.pairs import PairSource
from training.encoder.trainer import TuningRun
from training.processes import joined, tasks
from training.splits.split import interaction_matrix


def main() -> None:
    torch.set_num_threads(1)
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    with joined() as first:
        models = [fine_tuned(folder, out)] if first else [task() for task in tasks()]
        assert len(models) == 1
        state = b"".join(value.numpy().tobytes() for value in models[0].state_dict().values())
        name = f"{torch.distributed.get_rank()}-of-{torch.distributed.get_world_size()}.txt"
        (out / name).write_text(hashlib.sha256(state).hexdigest())


def fine_tuned(folder: Path, out: Path) -> SentenceTransformer:
    texts, groups = texts_and_groups(40)
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    source = PairSource(texts, texts, vectors, interaction_matrix(cold_split(groups, users=12).train, 40))
    settings = ContrastiveSettings("full", steps=2, batch_size=4, mini_batch_size=2, max_tokens=16, validations=1)
    run = TuningRun(out / "run", 0, SilentProgress())
    return fine_tune(load_encoder(folder), source, lambda _: 0.5, settings, run).model


if __name__ == "__main__":
    main()
