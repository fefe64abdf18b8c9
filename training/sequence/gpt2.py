"""GPT-2 with mean pooling and a linear item head: a baseline row, a language model's body put to item sequences.

The body is a small GPT-2 (Radford et al., 2019), random weights, over item ids; the mean of its states up to an event
goes through one linear layer to a logit an item.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2Model

from core.events import EventSequence
from domain.errors import NothingToLearnFrom
from domain.progress import Progress
from training.sequence.figures import RankingFigures, ranking_figures
from training.sequence.fit import FitPlan, Resume, TrainableModel, fit
from training.sequence.packing import event_table, last_windows
from training.splits.split import Split


@dataclass(frozen=True)
class Gpt2Settings:
    """Small: it is a row to compare with.

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
        self.padding = item_count

    def forward(self, rows: Tensor) -> Tensor:
        """Returns float32[B, L, width], the mean of the states up to each event; rows int64[B, L], padded right."""
        real = (rows != self.padding).unsqueeze(-1)
        states = self.body(input_ids=rows).last_hidden_state * real
        return states.cumsum(1) / real.cumsum(1).clamp(min=1)


@dataclass(frozen=True)
class Gpt2Baseline:
    """A trained baseline; implements `Scorer`."""

    network: _Network
    settings: Gpt2Settings
    known: np.ndarray
    validation: RankingFigures | None = None

    @torch.no_grad()
    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]; -inf for items that training never saw."""
        found: np.ndarray = (self._states(histories) @ self.network.head.weight.T).numpy()
        found[:, ~self.known] = -np.inf
        return found

    @torch.no_grad()
    def _states(self, histories: Sequence[EventSequence]) -> Tensor:
        self.network.eval()
        found = torch.zeros(len(histories), self.settings.width)
        for start in range(0, len(histories), 256):
            rows = [history.rows[-self.settings.length :] for history in histories[start : start + 256]]
            last = torch.tensor([max(len(one) - 1, 0) for one in rows])
            states = self.network(_padded(rows, self.network.padding))
            found[start : start + len(rows)] = states[torch.arange(len(rows)), last]
        return found


def train_gpt2_baseline(split: Split, settings: Gpt2Settings, resume: Resume, progress: Progress) -> Gpt2Baseline:
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
    model = Gpt2Baseline(network, settings, split.known)
    histories = [case.history for case in split.validation.cases]

    def train_epoch(rng: np.random.Generator) -> float:
        losses = []
        order = rng.permutation(len(windows))
        for start in range(0, len(order), settings.batch):
            some = [table.rows[a:b] for a, b in windows[order[start : start + settings.batch]]]
            inputs = _padded([one[:-1] for one in some], network.padding)
            target = _padded([one[1:] for one in some], network.padding)
            real = target != network.padding
            loss = F.cross_entropy(network.head(network(inputs)[real]), target[real])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    def validate() -> RankingFigures:
        figures: RankingFigures = ranking_figures(
            model._states(histories), network.head.weight.detach(), split.validation
        )
        return figures

    plan = FitPlan("gpt2", settings.epochs, settings.patience)
    best = fit(TrainableModel(network, optimizer, train_epoch, validate), plan, resume, progress)
    return dataclasses.replace(model, validation=best)


def _padded(rows: Sequence[np.ndarray], padding: int) -> Tensor:
    """Returns int64[B, longest], padded on the right; at least one column."""
    longest = max((len(one) for one in rows), default=1) or 1
    found = np.full((len(rows), longest), padding, np.int64)
    for place, one in enumerate(rows):
        found[place, : len(one)] = one
    return torch.from_numpy(found)
