"""GPT-2 with mean pooling and a linear item head: a baseline, a language model's body on item sequences.

The body is a small GPT-2 (Radford et al., 2019), random weights, over item ids; the mean of its states up to an event
goes through one linear layer to a logit an item.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2Model

from core.events import EventSequence
from domain.errors import NothingToLearnFrom
from domain.progress import Progress
from training.fit import FitPlan, Resume
from training.sequence.packing import event_table, last_windows
from training.sequence.scorer import SequenceScorer, SequenceTraining, train_scorer
from training.splits.split import Split

_STATES_AT_ONCE = 256


@dataclass(frozen=True)
class Gpt2Settings:
    """Architecture and training of the baseline; small, as a method to compare with.

    Attributes:
        width: of states.
        blocks: of GPT-2.
        heads: of attention.
        length: events looked back on.
        dropout: everywhere in GPT-2.
        learning_rate: Adam's.
        batch: sequences a step.
        epochs: at most.
        patience: epochs without a better validation.
    """

    width: int = 64
    blocks: int = 2
    heads: int = 2
    length: int = 50
    dropout: float = 0.2
    learning_rate: float = 1e-3
    batch: int = 128
    epochs: int = 30
    patience: int = 3


class _Network(nn.Module):
    def __init__(self, item_count: int, settings: Gpt2Settings) -> None:
        super().__init__()
        drop = settings.dropout
        self.body = GPT2Model(
            GPT2Config(
                vocab_size=item_count + 1, n_positions=settings.length, n_embd=settings.width, n_layer=settings.blocks,
                n_head=settings.heads, resid_pdrop=drop, embd_pdrop=drop, attn_pdrop=drop,
            )
        )  # fmt: skip
        self.head = nn.Linear(settings.width, item_count, bias=False)
        self.padding, self.length = item_count, settings.length

    def forward(self, rows: Tensor) -> Tensor:
        """Returns float32[B, L, width], the mean of the states up to each event; rows int64[B, L], padded right."""
        real = (rows != self.padding).unsqueeze(-1)
        states = self.body(input_ids=rows).last_hidden_state * real
        return states.cumsum(1) / real.cumsum(1).clamp(min=1)

    def item_table(self) -> Tensor:
        """Returns float32[n, width]."""
        return self.head.weight

    @torch.no_grad()
    def last_states(self, histories: Sequence[EventSequence]) -> Tensor:
        """Returns float32[B, width], the mean of the states up to each history's last event."""
        self.eval()
        states = torch.zeros(len(histories), self.head.in_features)
        for start in range(0, len(histories), _STATES_AT_ONCE):
            rows = [history.rows[-self.length :] for history in histories[start : start + _STATES_AT_ONCE]]
            last = torch.tensor([max(len(sequence) - 1, 0) for sequence in rows])
            states[start : start + len(rows)] = self(_padded(rows, self.padding))[torch.arange(len(rows)), last]
        return states


def train_gpt2_baseline(split: Split, settings: Gpt2Settings, resume: Resume, progress: Progress) -> SequenceScorer:
    """Trains on the last window of every history, full softmax, until validation stops improving.

    Raises:
        NothingToLearnFrom: no history of two events, or no validation case.
    """
    table = event_table(split.train)
    windows = last_windows(table, settings.length + 1)
    windows = windows[windows[:, 1] - windows[:, 0] > 1]
    if not len(windows) or not split.validation.cases:
        raise NothingToLearnFrom("the GPT-2 baseline needs a user with two events, and validation cases")
    torch.manual_seed(resume.seed)
    network = _Network(len(split.item_ids), settings)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, fused=True)

    def losses(rng: np.random.Generator) -> Iterator[Tensor]:
        order = rng.permutation(len(windows))
        for start in range(0, len(order), settings.batch):
            batch = [table.rows[a:b] for a, b in windows[order[start : start + settings.batch]]]
            inputs = _padded([rows[:-1] for rows in batch], network.padding)
            target = _padded([rows[1:] for rows in batch], network.padding)
            real = target != network.padding
            yield F.cross_entropy(network.head(network(inputs)[real]), target[real])

    plan = FitPlan("gpt2", settings.epochs, settings.patience)
    return train_scorer(network, SequenceTraining(optimizer, losses, plan), split, resume, progress)


def _padded(rows: Sequence[np.ndarray], padding: int) -> Tensor:
    """Returns int64[B, longest], padded on the right; at least one column."""
    longest = max((len(sequence) for sequence in rows), default=1) or 1
    padded = np.full((len(rows), longest), padding, np.int64)
    for place, sequence in enumerate(rows):
        padded[place, : len(sequence)] = sequence
    return torch.from_numpy(padded)
