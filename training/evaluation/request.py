"""Request and data of an evaluation: files, their division, and the split that a model must be trained on."""

from dataclasses import dataclass, field
from pathlib import Path

from datafiles.items import read_items
from datafiles.options import DEFAULT_OPTIONS, FileOptions
from domain.errors import ConfigurationError
from domain.item import Item
from training.interactions.positives import Positives, read_positives
from training.interactions.table import read_interactions
from training.run.folder import digest
from training.splits.protocols import Candidates, own_split, read_own_split, split_by
from training.splits.short_histories import read_reviews
from training.splits.split import Split

OWN_SPLIT = "own split"


@dataclass(frozen=True)
class EvaluationRequest:
    """Files and division to evaluate by: a protocol over one file, or two files that somebody divided.

    Attributes:
        items: the item file; None where there are only ids.
        interactions: to be divided by `protocol` and `seed`.
        protocol: one of `protocols.PROTOCOLS`.
        train, test: files divided by somebody, instead of interactions and protocol.
        candidates: of a given split: the whole catalogue or the test's items.
        seed: of every draw.
        positive_rating: the least rating that counts as a choice; None for 80 % of the scale.
        options: how the files are read.
    """

    items: Path | None
    interactions: Path | None = None
    protocol: str | None = None
    train: Path | None = None
    test: Path | None = None
    candidates: Candidates = "catalogue"
    seed: int = 42
    positive_rating: float | None = None
    options: FileOptions = DEFAULT_OPTIONS

    def check(self) -> None:
        """Raises ConfigurationError unless exactly one of the two ways is complete."""
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
class EvaluationData:
    """Split, catalogue and reviews of an evaluation.

    Attributes:
        split: for training, selection and evaluation.
        items: the catalogue; None where there is none.
        reviews: what users wrote in training, by (user id, row).
        identity: what must agree in the run.json of a model that is evaluated by it.
        facts: name and text of each fact for the report.
    """

    split: Split
    items: tuple[Item, ...] | None
    reviews: dict[tuple[str, int], str] = field(repr=False)
    identity: dict[str, object]
    facts: dict[str, str]


def load_evaluation(request: EvaluationRequest) -> EvaluationData:
    """Reads the files and divides the interactions.

    Raises:
        ConfigurationError: the parts of the request do not go together.
        ItemFileError, InteractionFileError: a file cannot be read; the message names the line.
        NothingToLearnFrom, SplitRefused: too little is left, or a test item occurs in training.
    """
    request.check()
    protocol, interactions_file = request.protocol, request.interactions
    items = None if request.items is None else read_items(request.items, request.options).items
    ids = None if items is None else tuple(item.id for item in items)
    if request.train is not None and request.test is not None:
        train, test = (read_interactions(path, request.options) for path in (request.train, request.test))
        positives, held_out = read_own_split(train, test, ids, request.positive_rating)
        split = own_split(positives, held_out, request.candidates, request.seed)
        reviews = read_reviews(train, split.item_ids)
        files, protocol = {"training file": request.train, "test file": request.test}, OWN_SPLIT
        left_out = positives.unknown_count + held_out.unknown_count
    else:
        assert interactions_file is not None and protocol is not None  # as checked
        interactions = read_interactions(interactions_file, request.options)
        positives = read_positives(interactions, ids, request.positive_rating)
        split = split_by(protocol, positives, items, request.seed)
        reviews = read_reviews(interactions, split.item_ids)
        files = {"interactions": interactions_file}
        left_out = positives.unknown_count
    identity = _identity(request, protocol, next(iter(files.values())))
    if request.items is not None:
        files["items"] = request.items
    facts = {name: f"{path.name}, digest {digest(path)}" for name, path in files.items()}
    facts |= _facts(request, split, positives, left_out)
    return EvaluationData(split, items, reviews, identity, facts)


def _identity(request: EvaluationRequest, protocol: str, interactions: Path) -> dict[str, object]:
    """Returns what identifies the split; a split of files divided by somebody has neither protocol nor seed."""
    own: dict[str, object] = (
        {"protocol": None} if protocol == OWN_SPLIT else {"protocol": protocol, "seed": request.seed}
    )
    return {
        **own,
        "positive_rating": request.positive_rating,
        "interactions_sha256": digest(interactions),
        "items_sha256": None if request.items is None else digest(request.items),
    }


def _facts(request: EvaluationRequest, split: Split, positives: Positives, left_out: int) -> dict[str, str]:
    test = split.tests[0]
    draws = f", drawn {len(split.tests)} times" if len(split.tests) > 1 else ""
    facts = {
        "protocol": f"{split.protocol}, seed {request.seed}",
        "positive": f"{positives.rule.words}, every item once a user",
        "training": f"{len(split.train):,} users, {int(split.known.sum()):,} items",
        "test": f"{len(test.cases):,} users, {int(test.candidates.sum()):,} candidates{draws}",
    }
    if left_out:
        facts["left out"] = f"{left_out:,} interactions with items that {_where(request)} lacks"
    return facts


def _where(request: EvaluationRequest) -> str:
    return "the training file" if request.items is None else "the item file"
