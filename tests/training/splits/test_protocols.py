import dataclasses
from pathlib import Path

import numpy as np
import pytest

from datafiles.items import read_items
from domain.errors import NothingToLearnFrom, SplitRefused
from domain.item import Item
from domain.text import TextTemplate
from tests.support import histories
from training.interactions.positives import read_positives
from training.interactions.table import Interactions, read_interactions
from training.splits.protocols import (
    cold_items,
    everything,
    items_with_text,
    next_item,
    own_split,
    read_own_split,
    split_by,
    warm_users,
)
from training.splits.short_histories import cut_histories, little_known, read_reviews, text_only
from training.splits.validation import ndcg_by_case

_DATA = Path(__file__).parents[4] / "shared" / "data"


def _file(tmp_path, lines, header="user_id,item_id,timestamp", name="i.csv") -> Interactions:
    path = tmp_path / name
    path.write_text("\n".join([header, *lines]) + "\n")
    return read_interactions(path)


def _random_file(tmp_path, users=40, items=60, seed=0):
    rng = np.random.default_rng(seed)
    lines = [
        f"u{user},i{item},{time}"
        for user in range(users)
        for time, item in enumerate(rng.choice(items, rng.integers(6, 15), replace=False), start=100 * user)
    ]
    rng.shuffle(lines)
    return _file(tmp_path, lines)


def _rows(histories):
    return np.concatenate([history.rows for history in histories])


def test_choices_are_first_events_in_order_over_catalogue_rows(tmp_path):
    found = _file(tmp_path, ["b,x,30", "b,y,10", "b,x,20", "a,x,5", "a,gone,6", "b,z,10"])
    positives = read_positives(found, ["z", "y", "x"])
    users = dict(positives.users(1))
    assert list(users) == ["a", "b"]
    assert users["b"].rows.tolist() == [1, 0, 2]
    assert users["b"].time_s.tolist() == [10, 10, 20]
    assert positives.unknown_count == 1
    assert users["b"].history(slice(None)).age_s.tolist() == [10, 10, 0]
    assert users["b"].history(slice(2), 25.0).age_s.tolist() == [15, 15]


@pytest.mark.parametrize(
    ("header", "values", "words", "positive"),
    [
        ("rating", ["5", "4", "3.5", "1"], "rating >= 4", [True, True, False, False]),
        ("rating", ["10", "8", "7.9", "1"], "rating >= 8", [True, True, False, False]),
        ("kind", ["view", "dislike", "buy", "like"], "every kind but dislike", [True, False, True, True]),
        ("weight", ["2", "0", "-1", "1"], "weight > 0", [True, False, False, True]),
        ("text", ["a", "b", "c", "d"], "every interaction", [True] * 4),
    ],
)
def test_what_counts_as_a_choice(tmp_path, header, values, words, positive):
    lines = [f"u{place % 2},i{place},{value}" for place, value in enumerate(values)]
    found = _file(tmp_path, [*lines, f"u0,j,{values[0]}", f"u1,j,{values[0]}"], f"user_id,item_id,{header}")
    positives = read_positives(found)
    assert positives.rule.words == words
    chosen = {positives.item_ids[row] for row in positives.rows}
    assert [f"i{place}" in chosen for place in range(4)] == positive


def test_a_rating_of_ones_own_decides(tmp_path):
    found = _file(tmp_path, ["a,x,3", "a,y,2", "b,x,5", "b,y,3"], "user_id,item_id,rating")
    assert len(read_positives(found, positive_rating=3)) == 3


def test_too_little_is_refused_before_anything_is_trained(tmp_path):
    rated = "user_id,item_id,rating"
    cases = [
        (_file(tmp_path, ["a,x,1", "a,y,2"]), "1 user"),
        (_file(tmp_path, ["a,x,1", "b,x,2"]), "1 item"),
        (_file(tmp_path, ["a,x,0", "b,x,0"], rated), "no interaction is positive"),
        (_file(tmp_path, ["a,x,dislike", "b,x,dislike"], "user_id,item_id,kind"), "no interaction is positive"),
        (
            _file(tmp_path, [f"u{i},x,{i % 5 + 1}" for i in range(200)] + ["a,x,99"], rated),
            "out of range.*99",
        ),
    ]
    for interactions, message in cases:
        with pytest.raises(NothingToLearnFrom, match=message):
            read_positives(interactions)
    with pytest.raises(SplitRefused, match=r"67% .*catalogue lacks"):
        read_positives(_file(tmp_path, ["a,x,1", "b,y,2", "b,z,3"]), ["x", "q"])
    with pytest.raises(NothingToLearnFrom, match="same timestamp"):
        next_item(read_positives(_file(tmp_path, [f"u{i},i{j},7" for i in range(5) for j in range(5)])))
    tiny = read_positives(_file(tmp_path, [f"u{i},i{j},{j}" for i in range(3) for j in range(6)]))
    with pytest.raises(NothingToLearnFrom, match="3 users with at least 5 choices"):
        split_by("warm-users", tiny)
    with pytest.raises(SplitRefused, match="cold-items, warm-users, next-item"):
        split_by("random", tiny)


def test_cold_items_are_in_no_training_history_and_alone_are_candidates(tmp_path):
    positives = read_positives(_random_file(tmp_path))
    has_text = np.ones(60, bool)
    has_text[:20] = False
    split = cold_items(positives, has_text)
    test, validation = split.tests[0], split.validation
    assert test.candidates.sum() == 8 and validation.candidates.sum() == 3
    assert has_text[test.candidates].all()
    assert not (test.candidates & validation.candidates).any()
    assert not (test.candidates | validation.candidates)[_rows(split.train)].any()
    assert split.known.sum() == len(np.unique(_rows(split.train)))
    users = dict(positives.users(5))
    for case in test.cases:
        assert test.candidates[case.targets].all()
        assert sorted([*case.targets, *case.history.rows]) == sorted(users[case.user_id].rows)
    assert _same(split, cold_items(positives, has_text))
    assert not _same(split, cold_items(positives, has_text, seed=1))


def test_warm_users_are_not_trained_on_and_are_drawn_five_times(tmp_path):
    positives = read_positives(_random_file(tmp_path))
    split = warm_users(positives)
    assert len(split.train) == 40 - 8 - 3 and [len(part.cases) for part in split.tests] == [8] * 5
    users = dict(positives.users(5))
    held = {case.user_id for part in (split.validation, *split.tests) for case in part.cases}
    assert len(held) == 11
    for case in split.tests[0].cases:
        count = len(users[case.user_id])
        assert len(case.history) == round(0.8 * count)
        assert sorted([*case.targets, *case.history.rows]) == sorted(users[case.user_id].rows)
        assert (np.diff(case.history.age_s) <= 0).all()
    assert [case.targets.tolist() for case in split.tests[0].cases] != [
        case.targets.tolist() for case in split.tests[1].cases
    ]


def test_next_item_asks_for_the_last_and_knows_the_last_but_one(tmp_path):
    sequences = {"u": "ABCD", "v": "DCBA", "a": "ADDE", "b": "EZB", "short": "AX"}
    lines = [f"{user},{item},{time}" for user, items in sequences.items() for time, item in enumerate(items)]
    split = next_item(read_positives(_file(tmp_path, lines)))

    def told(part):
        return {
            case.user_id: "".join(split.item_ids[row] for row in [*case.history.rows, *case.targets])
            for case in part.cases
        }

    def rows_of(mask):
        return "".join(split.item_ids[row] for row in np.flatnonzero(mask))

    assert len(split.train) == 4
    assert rows_of(split.known) == rows_of(split.validation.candidates) == "ABCDE"
    assert told(split.validation) == {"u": "ABC", "v": "DCB", "a": "AD"}  # nobody could have learnt Z by then
    assert told(split.tests[0]) == {"u": "ABCD", "v": "DCBA", "a": "ADE", "b": "EZB"}
    assert rows_of(split.tests[0].candidates) == "ABCDEZ"
    ages = {case.user_id: case.history.age_s.tolist() for case in split.tests[0].cases}
    assert ages["u"] == [3, 2, 1] and ages["a"] == [3, 2]


def test_a_given_split_asks_what_somebody_held_back(tmp_path):
    everything = _random_file(tmp_path)
    late = np.zeros(len(everything), bool)
    for user in range(len(everything.user_ids)):
        mine = np.flatnonzero(everything.user == user)
        late[mine[np.argsort(everything.order[mine])[-2:]]] = True
    train, test = everything.take(~late), everything.take(late)
    split = own_split(*read_own_split(train, test, everything.item_ids))
    assert split.tests[0].candidates.all()
    assert sum(len(case.targets) for case in split.tests[0].cases) == late.sum()
    assert len(split.validation.cases) == 4
    held = {(case.user_id, row) for case in split.validation.cases for row in case.targets}
    assert sum(len(history) for history in split.train) == (~late).sum() - len(held)
    narrow = own_split(*read_own_split(train, test, everything.item_ids), candidates="test-items")
    assert narrow.tests[0].candidates.sum() == len(test.item_ids)
    with pytest.raises(SplitRefused, match=r'1 interaction.*occur in training too, for example user "u\d+" with item'):
        both = test.take(np.arange(len(test)))
        read_own_split(everything.take(~late | (np.arange(len(late)) == np.flatnonzero(late)[0])), both)


def test_a_given_split_of_new_items_is_validated_on_new_items(tmp_path):
    everything = _random_file(tmp_path)
    new = everything.item < 12
    parts = everything.take(~new), everything.take(new)
    split = own_split(*read_own_split(*parts, everything.item_ids), candidates="test-items")
    assert not split.known[_rows_of(split.tests[0])].any()
    assert not split.known[_rows_of(split.validation)].any()
    assert split.validation.candidates.sum() == 4
    with pytest.raises(SplitRefused, match="catalogue lacks"):
        read_own_split(*parts)


def test_a_given_split_without_common_users_is_refused(tmp_path):
    train = _file(tmp_path, ["a,x,1", "a,y,2", "b,x,3", "b,y,4"])
    test = _file(tmp_path, ["c,x,1", "c,y,2", "d,x,3"])
    with pytest.raises(NothingToLearnFrom, match="no test case remains"):
        own_split(*read_own_split(train, test))


def test_text_means_text_where_any_item_has_one():
    told = [Item("a", "A", "words"), Item("b", "B", " ")]
    assert items_with_text(told, 2).tolist() == [True, False]
    assert items_with_text([Item("a", "A", ""), Item("b", "", "")], 2).tolist() == [True, False]
    assert items_with_text(None, 2).tolist() == [True, True]


def test_a_cold_user_is_the_same_question_with_less_told(tmp_path):
    part = warm_users(read_positives(_random_file(tmp_path))).tests[0]
    cold = cut_histories(part, 3)
    assert cold.name == "3 events"
    for case, short in zip(part.cases, cold.part.cases, strict=True):
        rows = case.history.rows.tolist()
        assert short.history.rows.tolist() == rows[-3:]
        assert sorted([*short.history.rows, *short.hidden]) == sorted(rows)
        assert short.targets is case.targets


def test_what_was_cut_from_a_history_is_neither_an_answer_nor_recommended():
    whole = histories.part(6, ((0, 1, 2, 3), (4,)), ((5,), (2,)))
    asked = little_known(whole)
    assert [case.history.rows.tolist() for case in asked.cases] == [[3], [1, 2, 3]]
    assert [case.hidden.tolist() for case in asked.cases] == [[0, 1, 2], [0]]
    assert [case.targets.tolist() for case in asked.cases] == [[4], [4]]
    scores = np.array([[9, 8, 7, 6, 5, 4]] * 2, np.float32)
    assert ndcg_by_case(scores, asked).tolist() == [1, 1]
    shown = [dataclasses.replace(case, hidden=case.hidden[:0]) for case in asked.cases]
    assert ndcg_by_case(scores, dataclasses.replace(asked, cases=tuple(shown))).max() < 1


def test_training_for_use_holds_only_a_few_last_events_back(tmp_path):
    positives = read_positives(_random_file(tmp_path))
    split = everything(positives)
    assert split.tests == ()
    assert len(split.train) == 40
    assert len(split.validation.cases) == 4
    held = sum(len(case.targets) for case in split.validation.cases)
    assert len(_rows(split.train)) + held == len(positives)
    for case in split.validation.cases:
        assert not set(case.targets) & set(case.history.rows)


def test_a_line_of_text_is_what_the_user_wrote_else_the_last_event_told(tmp_path):
    found = _file(tmp_path, ["a,x,like,", "a,y,buy,so good", "b,x,like,", "b,z,view,"], "user_id,item_id,kind,text")
    part = own_split(
        *read_own_split(found, _file(tmp_path, ["a,z,like", "b,y,like"], "user_id,item_id,kind", "t.csv"))
    ).tests[0]
    reviews = read_reviews(found, ["x", "y", "z"])
    assert reviews == {("a", 1): "so good"}
    texts = ["X thing", "Y thing", "Z thing"]
    assert text_only(part, texts, TextTemplate(), reviews).texts == ("so good", "Viewed Z thing.")
    cold = text_only(part, texts, TextTemplate())
    assert cold.texts == ("Bought Y thing.", "Viewed Z thing.")
    assert [len(case.history) for case in cold.part.cases] == [0, 0]
    assert [case.hidden.tolist() for case in cold.part.cases] == [[0, 1], [0, 2]]


@pytest.mark.skipif(not _DATA.is_dir(), reason="needs ../shared/data")
def test_the_documented_splits_have_the_documented_sizes():
    items = read_items(_DATA / "movielens-small" / "items.jsonl").items
    ids = [item.id for item in items]
    positives = read_positives(read_interactions(_DATA / "movielens-small" / "interactions.csv.gz"), ids)
    split = split_by("cold-items", positives, items)
    assert (len(split.tests[0].cases), split.tests[0].candidates.sum()) == (592, 1213)
    beauty = read_positives(read_interactions(_DATA / "amazon-beauty-sequences" / "interactions.csv.gz"))
    assert len(split_by("next-item", beauty).tests[0].cases) == 22_311


def _rows_of(part):
    return np.concatenate([case.targets for case in part.cases])


def _same(one, other):
    return all(
        np.array_equal(a.history.rows, b.history.rows) and np.array_equal(a.targets, b.targets)
        for x, y in zip(one.tests, other.tests, strict=True)
        for a, b in zip(x.cases, y.cases, strict=False)
    )
