"""Effect of one event on lists: `python -m bench.one_event --releases DIR --data DIR [--users N]`.

DIR of --data has items.jsonl and interactions.csv or interactions.csv.gz, as movielens-small; --releases is a folder of
releases of these items, which is served by a gateway of its own. Users with five choices or more are stored there; the
choice before their last one is the event, the last one is to be found again, described by a few of its attributes or
words. Nothing that was chosen before is in any list. Printed are, with their goals and the load of the machine:

- by length of the history before the event: the mean Jaccard index of the first 20 before and after it, and the mean
  cosine of the first 20 to the event's item (centred vectors): by how much it rises, and in how many cases;
- the same with the description as the text of the request: the same, and whether the text still leads: Jaccard index
  of the first 20 to those of the text alone, and how often its first item stays among the first three;
- NDCG@10 of the last choice by one event, by the description (as text, and as the caller's profile) and by both, and
  both over the better of the two, with the 95 % interval of a bootstrap over users.

Ends with 1 where a goal was missed.
"""

import argparse
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.main_job import Measurement
from bench.service import serving
from core.vectors import unit
from domain.release_folder import find_release
from server.catalogue.item_table import ItemTable
from shortlist import Client, Event
from shortlist.requests import RecommendFields
from training.evaluation.bootstrap import Resampled
from training.evaluation.search.personal_cases import PersonalCase, PersonalRequest, load_personal_cases

_TOP, _FOUND_IN = 20, 10
# Events before the one that is looked at.
_LENGTHS = (0, 3, 10)
_LEADS_IN = 3
_SEED = 42
_EVENT, _LINE, _BOTH = range(3)


@dataclass(frozen=True)
class Films:
    """The items of a release.

    Attributes:
        items: by row.
        vectors: float32[n, d], centred, unit.
    """

    items: ItemTable
    vectors: np.ndarray

    @classmethod
    def load(cls, releases: Path) -> "Films":
        """Reads the current release of a folder."""
        release = find_release(releases, None)
        items = ItemTable(release.path / "items.jsonl", release.manifest.attribute_types)
        return cls(items, unit(np.load(release.path / "vectors.npy") - np.load(release.path / "mean.npy")))

    def cosine(self, item_ids: Sequence[str], to: str) -> float:
        """Returns the mean cosine of items to another one; NaN without items."""
        row = self.items.row_of(to)
        rows = [found for item_id in item_ids if (found := self.items.row_of(item_id)) is not None]
        assert row is not None
        return float((self.vectors[rows] @ self.vectors[row]).mean()) if rows else float("nan")


@dataclass(frozen=True)
class Moved:
    """A list before and after an event.

    Attributes:
        jaccard: of both.
        rise: of the mean cosine to the event's item.
        to_text: Jaccard index of the later list and the one of the text alone; NaN without a text.
        leads: 1 where the first item of the text alone is among the first of the later list; NaN without a text.
    """

    jaccard: float
    rise: float
    to_text: float = float("nan")
    leads: float = float("nan")


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--releases", type=Path, required=True, help="folder of releases of the items")
    parser.add_argument("--data", type=Path, required=True, help="folder of items.jsonl and interactions.csv(.gz)")
    parser.add_argument("--users", type=int, default=200, help="users at most (%(default)s)")
    args = parser.parse_args()
    cases = read_cases(args.data, args.users)
    films = Films.load(args.releases)
    found: list[Measurement] = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        serving(args.releases, Path(scratch)) as address,
        Client(address, deadline_s=60.0) as client,
    ):
        for length in _LENGTHS:
            able = [case for case in cases if len(case.events) > length]
            if able:
                found += moves(client, films, able, length)
        for as_text in (True, False):
            found += gains(np.array([_ndcgs(client, case, as_text) for case in cases]), as_text)
    sys.stdout.write(f"{len(cases)} users, load average {os.getloadavg()[0]:.1f} at the end\n")
    for one in found:
        sys.stdout.write(one.line() + "\n")
    return 0 if all(one.reached for one in found) else 1


def read_cases(data: Path, users: int) -> list[PersonalCase]:
    """Returns users with their last choice, a description of it, and the events before."""
    names = [data / "interactions.csv.gz", data / "interactions.csv"]
    interactions = next((path for path in names if path.is_file()), names[0])
    return list(load_personal_cases(PersonalRequest(data / "items.jsonl", interactions, most_users=users)).cases)


def moves(client: Client, films: Films, cases: Sequence[PersonalCase], length: int) -> list[Measurement]:
    """Returns how the event moves lists of users with so many events before it."""
    alone = [_moved(client, films, case, length, with_text=False) for case in cases]
    beside = [_moved(client, films, case, length, with_text=True) for case in cases]
    name = f"{length} before, {len(cases)} users"
    return [
        Measurement(f"{name}: Jaccard of the top 20", _mean(alone, "jaccard"), "", most=0.9),
        Measurement(f"{name}: cosine to the event rises by", _mean(alone, "rise"), "", least=0.0),
        Measurement(f"{name}: lists that rise", _rising(alone), "", least=0.5),
        Measurement(f"{name}: Jaccard beside a text", _mean(beside, "jaccard"), ""),
        Measurement(f"{name}: cosine rises beside a text by", _mean(beside, "rise"), "", least=0.0),
        Measurement(f"{name}: lists that rise beside a text", _rising(beside), ""),
        Measurement(f"{name}: Jaccard to the text alone", _mean(beside, "to_text"), "", least=0.5),
        Measurement(f"{name}: text's first in the first 3", _mean(beside, "leads"), "", least=0.5),
    ]


def gains(ndcg: np.ndarray, as_text: bool) -> list[Measurement]:
    """Returns NDCG of one event, of a line of text and of both.

    Args:
        ndcg: float64[users, 3], in that order.
        as_text: whether the line is the text of the request, else the profile.
    """
    drawn, line = Resampled(ndcg, _SEED), "text" if as_text else "profile"
    better = _EVENT if drawn.means[_EVENT] > drawn.means[_LINE] else _LINE
    difference = drawn.difference(_BOTH, better)
    spread = f"both less the better [{difference.low:+.3f}, {difference.high:+.3f}]"
    return [
        Measurement(f"{line}: NDCG@10 of one event", float(drawn.means[_EVENT]), ""),
        Measurement(f"{line}: NDCG@10 of the line", float(drawn.means[_LINE]), ""),
        Measurement(f"{line}: NDCG@10 of both", float(drawn.means[_BOTH]), ""),
        Measurement(f"{line}: {spread}", difference.point, "", least=0.0),
    ]


def _moved(client: Client, films: Films, case: PersonalCase, length: int, *, with_text: bool) -> Moved:
    *older, event = case.events[-1 - length :]
    text = case.query if with_text else None
    with _asker(client, case) as asker:
        before, after = asker.stored(older, text), asker.stored([event], text)
        plain = asker.unknown(text) if with_text else None
    rise = round(films.cosine(after, event.item_id) - films.cosine(before, event.item_id), 6)
    if plain is None:
        return Moved(jaccard(before, after), rise)
    return Moved(
        jaccard(before, after), rise, jaccard(plain, after), float(bool(set(plain[:1]) & set(after[:_LEADS_IN])))
    )


def _ndcgs(client: Client, case: PersonalCase, as_text: bool) -> tuple[float, float, float]:
    """Returns NDCG@10 of the last choice by the event, by the line and by both."""
    text, profile = (case.query, "") if as_text else (None, case.query)
    with _asker(client, case) as asker:
        by_line, by_event = asker.unknown(text, profile), asker.stored(case.events[-1:])
        by_both = asker.stored((), text, profile)
    return ndcg_of(by_event, case.target_id), ndcg_of(by_line, case.target_id), ndcg_of(by_both, case.target_id)


@dataclass(frozen=True)
class _Asker:
    """A user of a case, whose lists have nothing that was chosen before.

    Attributes:
        client: of the gateway.
        case: whose choices are left out.
        user: id of the stored user.
    """

    client: Client
    case: PersonalCase
    user: str

    def stored(self, events: Sequence[Event], text: str | None = None, profile: str = "") -> list[str]:
        """Stores events of the user, and returns the first 20 items for them."""
        fields: RecommendFields = {"user_id": self.user}
        if events:
            fields["event_token"] = self.client.record_events(events, user_id=self.user).event_token
        return self._top(text, profile, fields)

    def unknown(self, text: str | None = None, profile: str = "") -> list[str]:
        """Returns the first 20 items for somebody of whom nothing is stored."""
        return self._top(text, profile, {})

    def _top(self, text: str | None, profile: str, fields: RecommendFields) -> list[str]:
        fields |= {"k": _TOP, "exclude_item_ids": self.case.seen_ids, "item_mask": (), "profile": profile}
        return [item.id for item in self.client.recommend(text, **fields).items]


@contextmanager
def _asker(client: Client, case: PersonalCase) -> Iterator[_Asker]:
    """Yields a new user's, and forgets them."""
    user = f"bench-{uuid.uuid4().hex}"
    yield _Asker(client, case, user)
    client.delete_user(user_id=user)


def jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    """Returns the share of the items of either list that are in both; 1 for two empty ones."""
    either = set(one) | set(other)
    return len(set(one) & set(other)) / len(either) if either else 1.0


def ndcg_of(item_ids: Sequence[str], target: str) -> float:
    """Returns NDCG@10 where one item is right."""
    place = item_ids.index(target) if target in item_ids else _FOUND_IN
    return 1.0 / float(np.log2(2 + place)) if place < _FOUND_IN else 0.0


def _mean(moved: Sequence[Moved], name: str) -> float:
    return float(np.nanmean([getattr(one, name) for one in moved]))


def _rising(moved: Sequence[Moved]) -> float:
    return float(np.mean([one.rise > 0 for one in moved]))


if __name__ == "__main__":
    sys.exit(main())
