"""Gain of questions to a new user: `python -m bench.elicit --releases DIR --data DIR`.

DIR of --data has items.jsonl and interactions.csv(.gz) with ratings, as movielens-small; --releases is a folder of
releases of these items, trained with `--protocol warm-users` and the default seed, and is served by a gateway of its
own. Users that were held out from training arrive anew. Questions are about a random half of the catalogue, and are
answered from their ratings: a like, a dislike, or no opinion (`IMPRESSION`) where they did not rate the item or neither
liked nor disliked it. Lists are of the other half, where what they chose is to be found: so a question never tells what
a list may lack. Then the halves change places. Asked about are the items that `Elicit` picks, those that training users
chose most, items drawn from the 400 chosen most, and any items.

Printed are NDCG@20 of the list without a question and after so many, how many answers were an opinion, and what
`Elicit` gains over no question and over each of the others, paired, with the 95 % interval of a bootstrap over users.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.service import serving
from datafiles.items import read_items
from shortlist import Client, Event, EventKind
from training.collaborative.popularity import fit_popularity
from training.evaluation.bootstrap import Interval, Resampled
from training.interactions.positives import read_positives
from training.interactions.table import Interactions, read_interactions
from training.splits.protocols import split_by

_AFTER = (1, 3, 5, 10)
_DEPTH = 20
_POPULAR = 400
_DISLIKED_BELOW = 2.5
_SEED = 42
# What is recorded where somebody has no opinion of an item.
NO_OPINION = EventKind.IMPRESSION
_WAYS = ("elicit", "popular", "random popular", "random")


@dataclass(frozen=True)
class NewUser:
    """A held-out user.

    Attributes:
        ratings: by item id, of the half that is asked about.
        targets: ids of the choices to be found in the other half.
        to_find: ids of that half.
    """

    ratings: dict[str, float]
    targets: frozenset[str]
    to_find: frozenset[str]

    def answer(self, item_id: str, least: float) -> Event:
        """Returns the answer to a question as an event.

        Args:
            item_id: asked about.
            least: the least rating that is a like.
        """
        rating = self.ratings.get(item_id)
        if rating is not None and rating >= least:
            return Event(item_id, EventKind.LIKE)
        if rating is not None and rating < _DISLIKED_BELOW:
            return Event(item_id, EventKind.DISLIKE)
        return Event(item_id, NO_OPINION)


@dataclass(frozen=True)
class NewUsers:
    """The users, and what can be asked about.

    Attributes:
        users: held out from training.
        popular: ids of items that training users chose, most chosen first.
        item_ids: every item.
        least: the least rating that is a like.
    """

    users: tuple[NewUser, ...]
    popular: tuple[str, ...]
    item_ids: tuple[str, ...]
    least: float

    @classmethod
    def read(cls, data: Path, most_users: int, draws: int, *, on_validation: bool) -> "NewUsers":
        """Reads the files; each user comes once with either half of each draw, one after the other."""
        items = read_items(data / "items.jsonl").items
        ids = tuple(item.id for item in items)
        names = [data / "interactions.csv.gz", data / "interactions.csv"]
        interactions = read_interactions(next((path for path in names if path.is_file()), names[0]))
        positives = read_positives(interactions, ids)
        split = split_by("warm-users", positives, items)
        prior = fit_popularity(split.train, len(ids)).log_prior
        order = [row for row in np.argsort(-prior, kind="stable").tolist() if prior[row] > prior.min()]
        part = split.validation if on_validation else split.tests[0]
        wanted = {case.user_id for case in part.cases}
        ratings = _ratings(interactions, wanted)
        least = float(positives.rule.rating or 0)
        halves = _halves(ids, draws)
        users = [
            NewUser(
                {item_id: rating for item_id, rating in ratings[user_id].items() if item_id not in to_find},
                frozenset(
                    item_id for item_id, rating in ratings[user_id].items() if item_id in to_find and rating >= least
                ),
                to_find,
            )
            for user_id in sorted(wanted)[:most_users]
            for to_find in halves
        ]
        return cls(tuple(users), tuple(ids[row] for row in order), ids, least)


def _halves(ids: Sequence[str], draws: int) -> list[frozenset[str]]:
    """Returns both halves of each draw."""
    found = []
    for draw in range(draws):
        drawn = np.random.default_rng([_SEED, draw]).permutation(np.array(ids)).tolist()
        found += [frozenset(drawn[: len(ids) // 2]), frozenset(drawn[len(ids) // 2 :])]
    return found


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--releases", type=Path, required=True, help="folder of releases, trained for warm-users")
    parser.add_argument("--data", type=Path, required=True, help="folder of items.jsonl and interactions.csv(.gz)")
    parser.add_argument("--users", type=int, default=1_000, help="users at most (%(default)s)")
    parser.add_argument("--draws", type=int, default=2, help="of the halves (%(default)s)")
    parser.add_argument("--validation", action="store_true", help="ask validation users, to choose a way by")
    args = parser.parse_args()
    told = NewUsers.read(args.data, args.users, args.draws, on_validation=args.validation)
    with (
        tempfile.TemporaryDirectory() as scratch,
        serving(args.releases, Path(scratch)) as address,
        Client(address, deadline_s=60.0) as client,
    ):
        found = [_interview(client, told, user, number) for number, user in enumerate(told.users)]
    ndcg = np.array([one for one, _ in found]).reshape(-1, 2 * args.draws, len(_WAYS), len(_AFTER) + 1)
    ndcg = np.nanmean(ndcg, axis=1)
    opinions = np.array([count for _, count in found]).mean(axis=0)
    sys.stdout.write(f"{len(ndcg)} users, {args.draws} draws, load average {os.getloadavg()[0]:.1f} at the end\n")
    for line in report(ndcg, opinions):
        sys.stdout.write(line + "\n")
    return 0


def report(ndcg: np.ndarray, opinions: np.ndarray) -> Iterator[str]:
    """Yields the lines of the table.

    Args:
        ndcg: float64[users, ways, 1 + questions of `_AFTER`], the first without a question.
        opinions: float64[ways, questions of `_AFTER`], mean number of answers with an opinion.
    """
    yield f"NDCG@{_DEPTH} without a question: {ndcg[:, 0, 0].mean():.4f}"
    for place, count in enumerate(_AFTER):
        drawn = Resampled(ndcg[:, :, place + 1], _SEED)
        start = Resampled(np.stack([ndcg[:, 0, 0], ndcg[:, 0, place + 1]], axis=1), _SEED).difference(1, 0)
        yield f"after {count}: elicit less no question {_signed(start)}"
        for way, name in enumerate(_WAYS):
            words = f"  {name:<15} {drawn.means[way]:.4f}, {opinions[way, place]:.2f} opinions"
            if way:
                less = drawn.difference(0, way)
                words += f", elicit less it {_signed(less)}"
            yield words


def _signed(found: Interval) -> str:
    return f"{found.point:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def ndcg_at(item_ids: Sequence[str], targets: frozenset[str]) -> float:
    """Returns NDCG@20 of a list with these targets, at least one."""
    gains = 1 / np.log2(np.arange(2, _DEPTH + 2))
    hits = np.array([item_id in targets for item_id in item_ids[:_DEPTH]], float)
    return float(hits @ gains[: len(hits)] / gains[: min(_DEPTH, len(targets))].sum())


def _interview(client: Client, told: NewUsers, user: NewUser, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns NDCG float64[ways, 1 + questions], and opinions float64[ways, questions], of one user."""
    rng = np.random.default_rng([_SEED, number])
    askable = [item_id for item_id in told.popular if item_id not in user.to_find]
    anything = [item_id for item_id in told.item_ids if item_id not in user.to_find]
    not_asked = sorted(user.to_find)

    def elicited(answers: Sequence[Event]) -> str:
        return client.elicit(events=answers, exclude_item_ids=not_asked)[0].id

    fixed = (
        askable,
        rng.permutation(askable[:_POPULAR])[: max(_AFTER)].tolist(),
        rng.permutation(anything)[: max(_AFTER)].tolist(),
    )
    ways: list[Callable[[Sequence[Event]], str]] = [elicited, *(_in_order(ids) for ids in fixed)]
    interviews = [_answers(user, asked, told.least) for asked in ways]
    ndcg, opinions = np.full((len(ways), len(_AFTER) + 1), np.nan), np.zeros((len(ways), len(_AFTER)))
    if not user.targets:
        return ndcg, opinions
    ndcg[:, 0] = ndcg_at(_listed(client, (), anything), user.targets)
    for way, answers in enumerate(interviews):
        for place, count in enumerate(_AFTER):
            ndcg[way, place + 1] = ndcg_at(_listed(client, answers[:count], anything), user.targets)
            opinions[way, place] = sum(answer.kind is not NO_OPINION for answer in answers[:count])
    return ndcg, opinions


def _answers(user: NewUser, asked: Callable[[Sequence[Event]], str], least: float) -> list[Event]:
    """Returns a user's answers to one question after another, each chosen by the answers before."""
    answers: list[Event] = []
    for _ in range(max(_AFTER)):
        answers.append(user.answer(asked(answers), least))
    return answers


def _in_order(item_ids: Sequence[str]) -> Callable[[Sequence[Event]], str]:
    return lambda answers: item_ids[len(answers)]


def _listed(client: Client, answers: Sequence[Event], left_out: Sequence[str]) -> list[str]:
    reply = client.recommend(events=answers, k=_DEPTH, exclude_item_ids=left_out, item_mask=())
    return [item.id for item in reply.items]


def _ratings(interactions: Interactions, users: set[str]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {user_id: {} for user_id in users}
    assert interactions.rating is not None
    columns = interactions.user.tolist(), interactions.item.tolist(), interactions.rating.tolist()
    for user, item, rating in zip(*columns, strict=True):
        ratings = found.get(interactions.user_ids[user])
        if ratings is not None:
            ratings[interactions.item_ids[item]] = rating
    return found


if __name__ == "__main__":
    sys.exit(main())
