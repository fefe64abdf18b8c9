"""Cases of personalised search: a user's history, and a partial description of the item they chose next."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from datafiles.items import read_items
from datafiles.options import DEFAULT_OPTIONS, FileOptions
from domain.errors import NothingToLearnFrom
from domain.item import Item
from shortlist import Event, EventKind
from training.interactions.positives import Chosen, Positives, read_positives
from training.interactions.table import KINDS, read_interactions
from training.splits.partial_queries import PartialQueries

FEWEST_EVENTS = 5
MOST_EVENTS = 200
DEFAULT_USERS = 1_000


@dataclass(frozen=True)
class PersonalCase:
    """One user's last choice to be found again by one description.

    Attributes:
        id: of the case; the user's where it is the only one of theirs.
        user_id: of the user.
        query: a partial description of the target.
        target_id: the item chosen last.
        events: the events before it, at most 200, oldest first, at their distances in time from now.
        seen_ids: every item chosen before, which no list may have.
    """

    id: str
    user_id: str
    query: str
    target_id: str
    events: tuple[Event, ...]
    seen_ids: tuple[str, ...]


@dataclass(frozen=True)
class PersonalRequest:
    """Files and settings that cases are drawn by.

    Attributes:
        items: the item file.
        interactions: of its items.
        positive_rating: the least rating that counts as a choice; None for 80 % of the scale.
        most_users: users at most.
        seed: of the draw and of the queries.
        descriptions: of each user's last choice; more make the intervals narrower, as a user counts by the mean.
        options: how the files are read.
    """

    items: Path
    interactions: Path
    positive_rating: float | None = None
    most_users: int = DEFAULT_USERS
    seed: int = 42
    descriptions: int = 1
    options: FileOptions = DEFAULT_OPTIONS


@dataclass(frozen=True)
class PersonalCases:
    """Cases drawn from interactions.

    Attributes:
        cases: by user id, each user's together.
        user_count: users with enough choices, whose last item can be recommended and described.
        left_out_count: users with enough choices whose last item cannot.
        facts: name and text of each fact for the report.
    """

    cases: tuple[PersonalCase, ...]
    user_count: int
    left_out_count: int
    facts: dict[str, str] = field(default_factory=dict)


def load_personal_cases(request: PersonalRequest) -> PersonalCases:
    """Reads the files and draws the cases.

    Raises:
        ItemFileError, InteractionFileError: a file cannot be read; the message names the line.
        NothingToLearnFrom, SplitRefused: too little is left, or the files do not belong together.
    """
    items = read_items(request.items, request.options).items
    ids = tuple(item.id for item in items)
    positives = read_positives(read_interactions(request.interactions, request.options), ids, request.positive_rating)
    drawn = personal_cases(positives, items, request)
    users = len({case.user_id for case in drawn.cases})
    facts = {
        "positive": f"{positives.rule.words}, every item once a user",
        "cases": f"{users:,} of {drawn.user_count:,} users with {FEWEST_EVENTS} choices or more, "
        f"seed {request.seed}; the last choice is to be found",
        "query": f"{len(drawn.cases):,} drawn from the last choices: attributes with the decade, a keyword or name, or "
        "words of the text",
        "history": f"the choices before it, at most {MOST_EVENTS}; none of them may be in a list",
    }
    if drawn.left_out_count:
        facts["left out"] = f"{drawn.left_out_count:,} users whose last choice is unavailable or cannot be described"
    return replace(drawn, facts=facts)


def personal_cases(positives: Positives, items: Sequence[Item], request: PersonalRequest) -> PersonalCases:
    """Draws users with five choices or more; of each, the last choice is the target and the rest the history.

    Args:
        positives: choices over the rows of `items`.
        items: the catalogue.
        request: how many users are drawn, and how.

    Raises:
        NothingToLearnFrom: no user is left, or nothing orders the events.
    """
    if positives.time_s is not None and not positives.ordered:
        raise NothingToLearnFrom("every interaction has the same timestamp, so the last is unknown; give a position")
    queries = PartialQueries.of(items)
    able, left_out = [], 0
    for user_id, user in positives.users(FEWEST_EVENTS):
        row = int(user.rows[-1])
        if items[row].available and queries.query(row, request.seed, user_id):
            able.append((user_id, user))
        else:
            left_out += 1
    if not able:
        raise NothingToLearnFrom(
            f"no user has {FEWEST_EVENTS} choices and a last one that can be described; more interactions are needed, "
            "or items with texts or attributes"
        )
    drawn = np.sort(np.random.default_rng(request.seed).permutation(len(able))[: request.most_users])
    now_s = time.time()
    cases = []
    for user_id, user in (able[place] for place in drawn.tolist()):
        ids = [positives.item_ids[row] for row in user.rows.tolist()]
        events = tuple(_events(ids, user, now_s))
        # The first description is the same however many there are.
        names = [user_id, *(f"{user_id}#{number}" for number in range(2, request.descriptions + 1))]
        said = dict.fromkeys((queries.query(int(user.rows[-1]), request.seed, name), name) for name in names)
        cases += [PersonalCase(name, user_id, query, ids[-1], events, tuple(ids[:-1])) for query, name in said]
    return PersonalCases(tuple(cases), len(able), left_out)


def _events(ids: Sequence[str], user: Chosen, now_s: float) -> Iterator[Event]:
    """Yields the events before the last; the service takes their ages from now, so the target's moment becomes now."""
    last = len(ids) - 1
    for place in range(max(0, last - MOST_EVENTS), last):
        moment = None
        if user.time_s is not None:
            moment = datetime.fromtimestamp(now_s - float(user.time_s[last] - user.time_s[place]), UTC)
        yield Event(ids[place], EventKind[KINDS[user.kind[place]].name], time=moment)
