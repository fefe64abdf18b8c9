"""Settings of the user tower."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UserTowerSettings:
    """Architecture and training of the tower.

    Attributes:
        members: towers trained from different seeds, whose scores are averaged; see below.
        width: of a member's states.
        heads: of attention.
        length: events that a state looks back on.
        inner: the inner layer's width in widths.
        dropout: inside the block.
        event_dropout: of the numbers of an event's vector.
        candidate_dropout: of the numbers of a candidate's vector.
        id_dropout: of whole id embeddings, where items have content.
        weight_decay: decoupled, of matrices.
        smoothing: of the target, in the full softmax.
        learning_rate: Adam's.
        averaging: decay of the running average of the weights, which is kept; 0 keeps the last step's weights.
        batch: events a step.
        epochs: at most.
        patience: epochs without a better validation before it ends.
        full_softmax_items: with more known items than these the softmax is sampled.
        negatives: drawn a step for the sampled softmax.

    On thousands of users two members rank about 1.5 % better than one; they cost twice the training, twice the time on
    Triton and twice the memory of served item vectors, whose width is `members * width + 1`.
    """

    members: int = 2
    width: int = 128
    heads: int = 2
    length: int = 50
    inner: int = 2
    dropout: float = 0.2
    event_dropout: float = 0.3
    candidate_dropout: float = 0.2
    id_dropout: float = 0.2
    weight_decay: float = 0.01
    smoothing: float = 0.0
    learning_rate: float = 1e-3
    averaging: float = 0.998
    batch: int = 1024
    epochs: int = 60
    patience: int = 4
    full_softmax_items: int = 20_000
    negatives: int = 1024

    def __post_init__(self) -> None:
        if self.members < 1:
            raise ValueError(f"members is {self.members}; expected at least 1")
