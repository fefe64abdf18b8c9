"""Run by torchrun in test_contrastive: every process trains alike and ends with the same weights."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from domain.progress import SilentProgress
from tests.support.synthetic import cold_split, texts_and_groups
from training.encoder.contrastive import ContrastiveSettings, fine_tune
from training.encoder.folder import load_encoder
from training.encoder.pairs import PairSource
from training.encoder.trainer import TuningRun
from training.splits.split import interaction_matrix


def main() -> None:
    torch.set_num_threads(1)
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    texts, groups = texts_and_groups(40)
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    source = PairSource(texts, texts, vectors, interaction_matrix(cold_split(groups, users=12).train, 40))
    settings = ContrastiveSettings("full", steps=2, batch_size=4, mini_batch_size=2, max_tokens=16, judgements=1)
    tuned = fine_tune(
        load_encoder(folder), source, lambda _: 0.5, settings, TuningRun(out / "run", 0, SilentProgress())
    )
    state = b"".join(value.numpy().tobytes() for value in tuned.model.state_dict().values())
    rank = torch.distributed.get_rank()
    (out / f"{rank}-of-{torch.distributed.get_world_size()}.txt").write_text(hashlib.sha256(state).hexdigest())


if __name__ == "__main__":
    main()
