"""SASRec with sampled softmax: the published row by which the evaluator is calibrated, and a baseline.

Kang and McAuley, "Self-Attentive Sequential Recommendation" (2018), with the loss of Klenitskiy and Vasilev, "Turning
Dross Into Gold Loss" (2023), as measured in "eSASRec" (2025, arXiv 2508.06450): positions counted from the end,
normalised queries on raw keys and values, item table thinned by dropout on both sides. Sequences are packed; only the
padding that a short sequence would attend to there is kept, as one key that counts as often as it would stand there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.events import EventSequence
from domain.errors import NothingToLearnFrom
from domain.progress import Progress
from training.fit import FitPlan, Resume
from training.sequence.packing import PackedBatch, event_table, last_slots, last_windows, pack, training_batches
from training.sequence.scorer import SequenceScorer, SequenceTraining, train_scorer
from training.splits.split import Split

_STATES_AT_ONCE = 512
# Slots that share their negatives. Published: none do; a few that do change nothing measurable and cost a fifth.
_GROUP = 5


@dataclass(frozen=True)
class SasrecSettings:
    """Architecture and training of SASRec, as published.

    Attributes:
        factors: width of everything.
        blocks: attention blocks.
        heads: of attention.
        length: events looked back on; a multiple of 5.
        dropout: everywhere.
        negatives: uniform, a target.
        learning_rate: Adam's.
        batch: events a step, about 128 users of Beauty.
        epochs: at most.
        patience: epochs without a better validation.
        validate_every: epochs between validations.
    """

    factors: int = 64
    blocks: int = 1
    heads: int = 1
    length: int = 50
    dropout: float = 0.2
    negatives: int = 256
    learning_rate: float = 1e-3
    batch: int = 768
    epochs: int = 200
    patience: int = 50
    validate_every: int = 2


class _Block(nn.Module):
    """Attention, then two layers of the model's own width."""

    def __init__(self, settings: SasrecSettings) -> None:
        super().__init__()
        width = settings.factors
        self.heads, self.dropout = settings.heads, settings.dropout
        self.query_norm, self.inner_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Returns the next layer's [R, L, d]; mask: float32[R, 1, L, L + 1], the last column for padding."""
        normal = self.query_norm(x)
        seen = F.pad(x, (0, 0, 0, 1))
        query, key, value = (
            layer(source).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, source in ((self.query, normal), (self.key, seen), (self.value, seen))
        )
        drop = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=drop)
        inner = self.inner_norm(normal + self.out(mixed.transpose(1, 2).flatten(2)))
        wide = F.dropout(torch.relu(self.wide(inner)), self.dropout, self.training)
        return inner + F.dropout(self.narrow(wide), self.dropout, self.training)


class _Network(nn.Module):
    def __init__(self, item_count: int, settings: SasrecSettings) -> None:
        super().__init__()
        self.items = nn.Embedding(item_count, settings.factors)
        self.places = nn.Embedding(settings.length, settings.factors)
        self.blocks = nn.ModuleList(_Block(settings) for _ in range(settings.blocks))
        self.norm = nn.LayerNorm(settings.factors)
        self.dropout, self.length = settings.dropout, settings.length
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)
        for block in self.blocks:
            for layer in (block.query, block.key, block.value):
                layer.weight.data *= 2**-0.5  # as one matrix of three times the rows would get
                nn.init.zeros_(layer.bias)
            nn.init.zeros_(block.out.bias)

    def forward(self, batch: PackedBatch, items: Tensor) -> Tensor:
        """Returns the states float32[R, L, d]; items: float32[n, d], the item table, thinned while training."""
        segment, from_end = torch.from_numpy(batch.segment), torch.from_numpy(batch.from_end)
        place = torch.arange(segment.shape[1])
        allowed = (segment[:, :, None] == segment[:, None, :]) & (place[:, None] >= place[None, :])
        inside = torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf)
        padding = torch.log((self.length - from_end - allowed.sum(-1)).clamp(min=0).float())
        mask = torch.cat([inside, padding[..., None]], dim=-1)[:, None]
        x = F.embedding(torch.from_numpy(batch.rows), items) + self.places(from_end)
        x = F.dropout(x, self.dropout, self.training)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)

    def item_table(self) -> Tensor:
        """Returns float32[n, d]."""
        return self.items.weight

    @torch.no_grad()
    def last_states(self, histories: Sequence[EventSequence]) -> Tensor:
        """Returns float32[B, d], the state after each history's last event; zeros for an empty history."""
        self.eval()
        table = event_table(histories)
        windows, filled = last_windows(table, self.length), np.flatnonzero(np.diff(table.ends))
        states = torch.zeros(len(histories), self.items.embedding_dim)
        for start in range(0, len(windows), _STATES_AT_ONCE):
            chunk = windows[start : start + _STATES_AT_ONCE]
            batch = pack(table, chunk, self.length)
            flat = self(batch, self.items.weight).flatten(0, 1)
            states[filled[start : start + _STATES_AT_ONCE]] = flat[torch.from_numpy(last_slots(batch, len(chunk)))]
        return states


def train_sasrec(split: Split, settings: SasrecSettings, resume: Resume, progress: Progress) -> SequenceScorer:
    """Trains until validation has not improved for `patience` epochs; the best epoch is kept.

    Raises:
        NothingToLearnFrom: no history of two events, or no validation case.
    """
    table = event_table(split.train)
    if not (np.diff(table.ends) > 1).any() or not split.validation.cases:
        raise NothingToLearnFrom("SASRec needs a user with two events, and validation cases to know when to stop")
    torch.manual_seed(resume.seed)
    network = _Network(len(split.item_ids), settings)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)

    def losses(rng: np.random.Generator) -> Iterator[Tensor]:
        windows = last_windows(table, settings.length + 1)
        for batch in training_batches(table, windows, slots=settings.batch, length=settings.length, rng=rng):
            # One thinned table for a batch's inputs and its candidates alike.
            items = F.dropout(network.items.weight, settings.dropout)
            states, target = network(batch, items), torch.from_numpy(batch.target)
            yield _sampled_softmax(states, target, items, settings.negatives)

    plan = FitPlan("sasrec", settings.epochs, settings.patience, settings.validate_every)
    return train_scorer(network, SequenceTraining(optimizer, losses, plan), split, resume, progress)


def _sampled_softmax(states: Tensor, target: Tensor, items: Tensor, negatives: int) -> Tensor:
    """Returns the softmax loss against uniform negatives, uncorrected as published; accidental hits don't count."""
    states, target = states.reshape(-1, _GROUP, states.shape[-1]), target.reshape(-1, _GROUP)
    filled = (target >= 0).any(1)
    states, target = states[filled], target[filled]
    drawn = torch.randint(items.shape[0], (target.shape[0], negatives))
    against = states @ F.embedding(drawn, items).transpose(1, 2)
    against = against.masked_fill(drawn[:, None, :] == target[:, :, None], -torch.inf)
    wanted = (states * F.embedding(target.clamp(min=0), items)).sum(-1)
    loss = torch.logsumexp(torch.cat([wanted[..., None], against], -1), -1) - wanted
    return loss[target >= 0].mean()
