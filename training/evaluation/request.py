"""Reads the files of an evaluation and divides them as asked; says all that must agree with a model's own split."""

from dataclasses import dataclass, field
from pathlib import Path

from datafiles.items import read_items
from domain.errors import ConfigurationError
from domain.item import Item
from training.interactions.positives import Positives, read_positives
from training.interactions.table import read_interactions
from training.run.folder import digest
from training.splits.protocols import Candidates, given, read_given, split_by
from training.splits.short_histories import read_reviews
from training.splits.split import Split

GIVEN = "given"


@dataclass(frozen=True)
class EvaluationRequest:
    """What to judge by: a protocol over one file, or two files that somebody divided.

    Attributes:
        items: the item file; None where there are only ids.
        interactions: to be divided by `protocol` and `seed`.
        protocol: one of `protocols.PROTOCOLS`.
        train, test: files divided by somebody, instead of interactions and protocol.
        candidates: of a given split: the whole catalogue or the test's items.
        seed: of every draw.
        positive_rating: the least rating that counts as a choice; None for 80 % of the scale.
    """

    items: Path | None
    interactions: Path | None = None
    protocol: str | None = None
    train: Path | None = None
    test: Path | None = None
    candidates: Candidates = "catalogue"
    seed: int = 42
    positive_rating: float | None = None

    def check(self) -> None:
        """Raises ConfigurationError where neither or both of the two ways are asked for."""
        if (self.train is None) != (self.test is None):
            raise ConfigurationError("give --train-interactions and --test-interactions together")
        one_file = self.interactions is not None or self.protocol is not None
        if one_file == (self.train is not None):
            raise ConfigurationError(
                "give --interactions with --protocol, or --train-interactions with --test-interactions"
            )
        if one_file and (self.interactions is None or self.protocol is None):
            raise ConfigurationError("--interactions and --protocol belong together; give both")
        if self.candidates == "test-items" and one_file:
            raise ConfigurationError("--candidates belongs to --test-interactions; a protocol has its own candidates")


@dataclass(frozen=True)
class Evaluation:
    """A split and where it comes from.

    Attributes:
        split: for training, choosing and judging.
        items: the catalogue; None where there is none.
        reviews: what users wrote in training, by (user id, row).
        identity: what must stand in the run.json of a model that may be judged by it.
        facts: name and words for the report.
    """

    split: Split
    items: tuple[Item, ...] | None
    reviews: dict[tuple[str, int], str] = field(repr=False)
    identity: dict[str, object]
    facts: dict[str, str]


def load_evaluation(asked: EvaluationRequest) -> Evaluation:
    """Reads and divides.

    Raises:
        ConfigurationError: what is asked does not go together.
        ItemFileError, InteractionFileError: a file cannot be read; the message names the line.
        NothingToLearnFrom, SplitRefused: too little is left, or a test item occurs in training.
    """
    asked.check()
    protocol, interactions_file = asked.protocol, asked.interactions
    items = None if asked.items is None else read_items(asked.items).items
    ids = None if items is None else tuple(item.id for item in items)
    if asked.train is not None and asked.test is not None:
        train, test = read_interactions(asked.train), read_interactions(asked.test)
        positives, held = read_given(train, test, ids, asked.positive_rating)
        split = given(positives, held, asked.candidates, asked.seed)
        reviews = read_reviews(train, split.item_ids)
        files, protocol = {"training file": asked.train, "test file": asked.test}, GIVEN
        left_out = positives.unknown_count + held.unknown_count
    else:
        assert interactions_file is not None and protocol is not None  # as checked
        interactions = read_interactions(interactions_file)
        positives = read_positives(interactions, ids, asked.positive_rating)
        split = split_by(protocol, positives, items, asked.seed)
        reviews = read_reviews(interactions, split.item_ids)
        files = {"interactions": interactions_file}
        left_out = positives.unknown_count
    identity = _identity(asked, protocol, next(iter(files.values())))
    if asked.items is not None:
        files["items"] = asked.items
    facts = {name: f"{path.name}, digest {digest(path)}" for name, path in files.items()}
    facts |= _facts(asked, split, positives, left_out)
    return Evaluation(split, items, reviews, identity, facts)


def _identity(asked: EvaluationRequest, protocol: str, interactions: Path) -> dict[str, object]:
    """A model for a given split was trained on all of its training file; no draw of ours divided that."""
    own: dict[str, object] = {"protocol": None} if protocol == GIVEN else {"protocol": protocol, "seed": asked.seed}
    return {
        **own,
        "positive_rating": asked.positive_rating,
        "interactions_sha256": digest(interactions),
        "items_sha256": None if asked.items is None else digest(asked.items),
    }


def _facts(asked: EvaluationRequest, split: Split, positives: Positives, left_out: int) -> dict[str, str]:
    test = split.tests[0]
    draws = f", drawn {len(split.tests)} times" if len(split.tests) > 1 else ""
    told = {
        "protocol": f"{split.protocol}, seed {asked.seed}",
        "positive": f"{positives.rule.words}, every item once a user",
        "training": f"{len(split.train):,} users, {int(split.known.sum()):,} items",
        "test": f"{len(test.cases):,} users, {int(test.candidates.sum()):,} candidates{draws}",
    }
    if left_out:
        told["left out"] = f"{left_out:,} interactions with items that {_where(asked)} lacks"
    return told


def _where(asked: EvaluationRequest) -> str:
    return "the training file" if asked.items is None else "the item file"
