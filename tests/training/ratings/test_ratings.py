import json
from dataclasses import replace

import numpy as np
import pytest

from cli.main import main
from domain.errors import NothingToLearnFrom
from domain.progress import SilentProgress
from training.evaluation.ratings import BIASES, FACTORS, GLOBAL_MEAN, HEAD, evaluate_ratings
from training.interactions.table import Interactions
from training.ratings.head import HeadInputs, RatingHead
from training.ratings.predictors import Biases, Factorisation, FactorSettings, GlobalMean, squared_error
from training.ratings.table import RatingTable, read_ratings, split_ratings

USERS, ITEMS = 60, 40


@pytest.fixture(scope="module")
def ratings():
    """Biases, and tastes of two dimensions; users rate from 3 to 36 items."""
    rng = np.random.default_rng(2)
    taste, kind = rng.normal(size=(USERS, 2)), rng.normal(size=(ITEMS, 2))
    bias_u, bias_i = rng.normal(scale=0.5, size=USERS), rng.normal(scale=0.5, size=ITEMS)
    user = np.repeat(np.arange(USERS), rng.integers(3, 37, USERS))
    item = np.concatenate([rng.permutation(ITEMS)[:count] for count in np.bincount(user)])
    value = 3 + bias_u[user] + bias_i[item] + np.einsum("mf,mf->m", taste[user], kind[item])
    value = np.clip(value + rng.normal(scale=0.1, size=len(user)), 0.5, 5)
    return RatingTable(user, item, value, USERS, ITEMS)


def test_damped_biases_by_hand():
    table = RatingTable(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([5.0, 3.0, 4.0]), 3, 3)
    found = Biases.fit(table, damping=1.0, rounds=1)
    assert found.item == pytest.approx([1 / 3, -1 / 2, 0])
    assert found.user == pytest.approx([(1 - 1 / 3 + -1 + 1 / 2) / 3, (0 - 1 / 3) / 2, 0])
    assert found.predict(np.array([2]), np.array([2])) == pytest.approx([4])


def test_factors_find_tastes_that_biases_cannot(ratings):
    split = split_ratings(ratings, 1)
    biases = Biases.fit(split.train, 2.0)
    factors = Factorisation.fit(split.train, biases, FactorSettings(factors=2, regularisation=0.02))
    assert squared_error(biases, split.test) < squared_error(GlobalMean.fit(split.train), split.test)
    assert squared_error(factors, split.test) < 0.6 * squared_error(biases, split.test)


def test_a_head_corrects_predictors_that_say_too_much_and_keeps_to_the_scale(ratings):
    split = split_ratings(ratings, 1)
    biases = Biases.fit(split.train, 2.0)
    fair = Factorisation.fit(split.train, biases, FactorSettings(factors=2, regularisation=0.02))
    factors = replace(fair, user=3 * fair.user)
    head = RatingHead.fit(HeadInputs.of(factors, split.train), split.validation)
    assert squared_error(head, split.test) < 0.3 * squared_error(factors, split.test)
    predicted = head.predict(ratings.user, ratings.item)
    assert predicted.min() >= ratings.value.min() and predicted.max() <= ratings.value.max()


def test_parts_share_nothing_and_lose_nothing(ratings):
    split = split_ratings(ratings, 3)
    pairs = [set(zip(part.user, part.item, strict=True)) for part in (split.train, split.validation, split.test)]
    assert sum(map(len, pairs)) == len(set.union(*pairs)) == len(ratings)
    assert len(split.test) == len(ratings) // 10


def test_the_report_has_every_predictor_and_errors_of_the_same_ratings(ratings):
    report = evaluate_ratings(split_ratings(ratings, 1), 1, SilentProgress())
    rmse = {name: errors.rmse.point for name, errors in report.errors.items()}
    assert list(rmse) == [GLOBAL_MEAN, BIASES, FACTORS, HEAD]
    assert rmse[FACTORS] < rmse[BIASES] < rmse[GLOBAL_MEAN]
    assert rmse[HEAD] < 1.02 * rmse[FACTORS]
    assert report.errors[BIASES].of_biases.point == 1
    assert report.errors[FACTORS].of_biases.point == pytest.approx(rmse[FACTORS] / rmse[BIASES])


def test_the_last_of_several_ratings_counts_and_too_few_are_refused():
    user, item = np.repeat(np.arange(10), 12), np.tile(np.arange(12), 10)
    ids = tuple(map(str, range(10))), tuple(map(str, range(12)))
    twice = [np.concatenate([one, one[:5]]) for one in (user, item)]
    value = np.concatenate(
        [
            np.full(120, 2.0),
            np.full(5, 4.0),
        ]
    )
    table = read_ratings(Interactions(*ids, *twice, np.arange(125.0), rating=value))
    assert len(table) == 120
    assert table.value[(table.user == 0) & (table.item < 5)].tolist() == [4] * 5
    with pytest.raises(NothingToLearnFrom, match="20 ratings are too few"):
        read_ratings(Interactions(*ids, user[:20], item[:20], np.arange(20.0), rating=value[:20]))
    with pytest.raises(NothingToLearnFrom, match="no column rating"):
        read_ratings(Interactions(*ids, user, item, np.arange(120.0)))


def test_the_command_prints_and_writes_the_table(ratings, tmp_path, capsys):
    lines = [f"u{u},i{i},{v:.3f}" for u, i, v in zip(ratings.user, ratings.item, ratings.value, strict=True)]
    path = tmp_path / "r.csv"
    path.write_text("\n".join(["user_id,item_id,rating", *lines]))
    words = ["evaluate", "--interactions", str(path), "--protocol", "ratings"]
    assert main([*words, "--json", str(tmp_path / "m.json")]) == 0
    assert "rating head" in capsys.readouterr().out
    raw = json.loads((tmp_path / "m.json").read_text())
    assert raw["errors"][HEAD]["rmse"]["low"] < raw["errors"][HEAD]["rmse"]["point"]
    assert main([*words, "--model", str(tmp_path)]) == 1
    assert "leave out --model" in capsys.readouterr().err
