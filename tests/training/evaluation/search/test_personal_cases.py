import time
from pathlib import Path

import pytest

from domain.errors import NothingToLearnFrom
from domain.item import Item
from shortlist import EventKind
from training.evaluation.search.personal_cases import MOST_EVENTS, PersonalRequest, load_personal_cases, personal_cases
from training.interactions.positives import read_positives
from training.interactions.table import read_interactions

ITEMS = tuple(Item(f"i{number}", f"Title number{number} of many", "") for number in range(300))


def _request(most_users=10, seed=42, descriptions=1):
    return PersonalRequest(Path("items"), Path("interactions"), None, most_users, seed, descriptions)


def _positives(tmp_path, lines, header="user_id,item_id,rating,timestamp"):
    path = tmp_path / "interactions.csv"
    second = ["zoe,i0,5,1000000"] if "timestamp" in header else []  # a file needs two users
    path.write_text("\n".join([header, *lines, *second]) + "\n")
    return read_positives(read_interactions(path), [item.id for item in ITEMS])


def _choices(user, items, start=1_000_000, step=60):
    return [f"{user},i{item},5,{start + step * place}" for place, item in enumerate(items)]


def test_the_last_choice_is_the_target_and_the_rest_the_history(tmp_path):
    low = ["ann,i50,1,2000000"]  # a low rating after all of them is no choice
    positives = _positives(tmp_path, [*_choices("ann", [3, 1, 4, 0, 5, 9]), *_choices("bob", [1, 2, 3, 4]), *low])
    drawn = personal_cases(positives, ITEMS, _request())
    [case] = drawn.cases  # bob has four choices
    assert (case.user_id, case.target_id) == ("ann", "i9")
    assert case.seen_ids == ("i3", "i1", "i4", "i0", "i5")
    assert tuple(event.item_id for event in case.events) == case.seen_ids
    assert {event.kind for event in case.events} == {EventKind.LIKE}
    assert case.query and set(case.query.split()) < {"title", "number9", "many"}


def test_events_stand_at_their_distance_from_the_target_before_now(tmp_path):
    drawn = personal_cases(_positives(tmp_path, _choices("ann", range(6), step=3_600)), ITEMS, _request())
    ages_h = [(time.time() - event.time.timestamp()) / 3_600 for event in drawn.cases[0].events]
    assert ages_h == pytest.approx([5, 4, 3, 2, 1], abs=0.01)


def test_a_file_without_times_gives_events_without(tmp_path):
    lines = [f"ann,i{item},{place}" for place, item in enumerate([3, 1, 4, 0, 5, 9])]
    drawn = personal_cases(_positives(tmp_path, [*lines, *[f"bob,i{n},{n}" for n in range(5)]],
                                      "user_id,item_id,position"), ITEMS, _request())  # fmt: skip
    assert [event.time for event in drawn.cases[0].events] == [None] * 5
    assert [case.target_id for case in drawn.cases] == ["i9", "i4"]


def test_users_are_drawn_by_seed_up_to_the_most(tmp_path):
    lines = [line for user in range(40) for line in _choices(f"u{user:02}", range(user, user + 6))]
    positives = _positives(tmp_path, lines)
    first, again, other = (personal_cases(positives, ITEMS, _request(10, seed)) for seed in (1, 1, 2))
    users = [case.user_id for case in first.cases]
    assert len(users) == 10 and users == sorted(users)
    assert users == [case.user_id for case in again.cases] != [case.user_id for case in other.cases]
    assert [case.query for case in first.cases] == [case.query for case in again.cases]
    assert first.user_count == 40
    assert len(personal_cases(positives, ITEMS, _request(1_000, 1)).cases) == 40


def test_several_descriptions_of_one_choice_begin_with_the_single_one(tmp_path):
    lines = [line for user in range(3) for line in _choices(f"u{user}", range(user, user + 6))]
    positives = _positives(tmp_path, lines)
    [one, several] = (personal_cases(positives, ITEMS, _request(10, 1, count)).cases for count in (1, 4))
    assert [case.query for case in several if case.id == case.user_id] == [case.query for case in one]
    assert 3 < len(several) <= 12 and len({case.id for case in several}) == len(several)
    assert {case.user_id for case in several} == {"u0", "u1", "u2"}
    assert {case.target_id for case in several if case.user_id == "u1"} == {"i6"}


def test_long_histories_are_cut_but_nothing_seen_comes_back(tmp_path):
    [case] = personal_cases(_positives(tmp_path, _choices("ann", range(300))), ITEMS, _request()).cases
    assert len(case.events) == MOST_EVENTS and case.events[-1].item_id == "i298"
    assert len(case.seen_ids) == 299


def test_a_last_choice_that_cannot_be_found_leaves_its_user_out(tmp_path):
    items = [*ITEMS[:8], Item("i8", "Gone thing", "", available=False), Item("i9", "Word", ""), *ITEMS[10:]]
    lines = [*_choices("ann", [0, 1, 2, 3, 8]), *_choices("bob", [0, 1, 2, 3, 9]), *_choices("cid", [0, 1, 2, 3, 7])]
    drawn = personal_cases(_positives(tmp_path, lines), items, _request())
    assert [case.user_id for case in drawn.cases] == ["cid"] and drawn.left_out_count == 2
    with pytest.raises(NothingToLearnFrom, match="no user has 5 choices"):
        personal_cases(_positives(tmp_path, lines[:10]), items, _request())


def test_equal_times_order_nothing(tmp_path):
    lines = _choices("ann", range(6), step=0)
    with pytest.raises(NothingToLearnFrom, match="same timestamp"):
        personal_cases(_positives(tmp_path, lines), ITEMS, _request())


def test_the_facts_say_what_was_drawn(tmp_path):
    items, interactions = tmp_path / "items.jsonl", tmp_path / "interactions.csv"
    items.write_text("".join(f'{{"id": "i{n}", "title": "Title number{n}"}}\n' for n in range(20)))
    lines = [line for user in range(3) for line in _choices(f"u{user}", range(user, user + 6))]
    interactions.write_text("\n".join(["user_id,item_id,rating,timestamp", *lines]))
    facts = load_personal_cases(PersonalRequest(items, interactions, most_users=2, seed=7)).facts
    assert facts["cases"].startswith("2 of 3 users with 5 choices or more, seed 7")
    assert "left out" not in facts
