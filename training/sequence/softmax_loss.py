"""Softmax losses over a catalogue: full, or over a sample with the log-q correction."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.processor import native_bfloat16

CHUNK = 64


class _FullSoftmax(torch.autograd.Function):
    """Mean of -log softmax(states items^T)[target] with gradients computed in forward, so that logits are kept once.

    In bfloat16 where the processor multiplies it natively: three to four times as fast there, and the error of a logit
    (2^-8 of it) is small beside what dropout does.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, items: Tensor, target: Tensor, smoothing: float) -> Tensor:  # noqa: ANN401
        """Computes the loss and both gradients."""
        count, kind = len(states), torch.bfloat16 if native_bfloat16() else torch.float32
        low_states, low_items = states.to(kind), items.to(kind)
        chance = torch.empty(count, len(items), dtype=kind)
        loss = 0.0
        for start in range(0, count, CHUNK):
            part, wanted = chance[start : start + CHUNK], target[start : start + CHUNK]
            torch.mm(low_states[start : start + CHUNK], low_items.T, out=part)
            torch.softmax(part, 1, out=part)
            line = torch.arange(len(part))
            loss -= part[line, wanted].float().clamp(min=1e-12).log().sum().item()
            part[line, wanted] -= 1 - smoothing
        state_gradient = (chance @ low_items).float()
        item_gradient = (chance.T @ low_states).float()
        if smoothing:
            state_gradient -= smoothing / len(items) * items.sum(0)
            item_gradient -= smoothing / len(items) * states.sum(0)
        ctx.save_for_backward(state_gradient / count, item_gradient / count)
        return states.new_tensor(loss / count)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: ANN401
        """Scales the gradients of forward."""
        state_gradient, item_gradient = ctx.saved_tensors
        return state_gradient * gradient, item_gradient * gradient, None, None


def full_softmax(states: Tensor, items: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Returns the mean negative log-likelihood of the targets among all items.

    Args:
        states: float32[T, d], times 1 / temperature.
        items: float32[n, d].
        target: int64[T], rows of items.
        smoothing: share of the target's mass spread over all items; the value returned is without it.
    """
    return _FullSoftmax.apply(states, items, target, smoothing)


@dataclass(frozen=True)
class NegativeSampler:
    """Sampler of negatives, half by popularity^0.75, half uniform.

    Attributes:
        cumulative: float64[n].
        log_chance: float32[n], log of an item's chance in one draw.
    """

    cumulative: np.ndarray
    log_chance: Tensor

    @classmethod
    def from_counts(cls, counts: np.ndarray) -> "NegativeSampler":
        """Returns a sampler for items that occur so often, int64[n], n >= 1."""
        popular = counts.astype(np.float64) ** 0.75
        chance = 0.5 * popular / max(popular.sum(), 1e-9) + 0.5 / len(counts)
        chance /= chance.sum()
        return cls(np.cumsum(chance), torch.from_numpy(np.log(chance).astype(np.float32)))

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """Returns int64[count], with replacement."""
        drawn = np.searchsorted(self.cumulative, rng.random(count), side="right")
        return torch.from_numpy(np.minimum(drawn, len(self.cumulative) - 1))


def sampled_softmax(states: Tensor, items: Tensor, target: Tensor, drawn: Tensor, log_expected: Tensor) -> Tensor:
    """Returns an estimate of the negative log-likelihood among all items, from a sample of them.

    Each negative's logit is lowered by the log of how often it was expected in the sample (Bengio and Senecal, 2008),
    so that the sum over the sample estimates the sum over the catalogue; the target counts in full. Draws of the target
    don't count.

    Args:
        states: float32[T, d], times 1 / temperature.
        items: float32[T + S, d]: the targets' vectors, then those of the drawn.
        target: int64[T].
        drawn: int64[S].
        log_expected: float32[S], log(S * chance in one draw).
    """
    count = len(target)
    wanted = (states * items[:count]).sum(-1)
    against = states @ items[count:].T - log_expected
    against = against.masked_fill(drawn[None, :] == target[:, None], -torch.inf)
    return (torch.logsumexp(torch.cat([wanted[:, None], against], 1), 1) - wanted).mean()
