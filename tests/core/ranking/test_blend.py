from dataclasses import replace

import numpy as np
import pytest

from core.ranking.blend import LIST_LENGTHS, Blend, ProxyBlend, ScoreScaler, ShortBlend, SourceScores, blended
from training.ranking.blend import z_scores


def test_a_source_is_standardised_as_in_training():
    scores = np.array([0.3, -np.inf, 0.9, 0.1, 0.5], np.float32)
    expected = z_scores(scores[None], np.ones(5, bool))[0]
    found = ScoreScaler.of(scores).apply(scores[[4, 1, 2]])
    assert found.tolist() == pytest.approx(expected[[4, 1, 2]].tolist(), abs=1e-6)


@pytest.mark.parametrize("scores", [np.full(3, -np.inf), np.full(3, 0.7)])
def test_a_source_that_tells_nothing_apart_says_nothing(scores):
    assert not ScoreScaler.of(scores).apply(scores).any()


def test_weights_count_and_their_signs():
    opinions = {
        name: SourceScores(np.array(scores), ScoreScaler(0, 1, 0))
        for name, scores in (("a", [1.0, 2.0]), ("b", [3.0, 1.0]))
    }
    assert blended(opinions, {"a": 1.0, "b": -0.5, "away": 9.0}).tolist() == [-0.5, 1.5]
    assert blended(opinions, {"b": 1.0}).tolist() == [3.0, 1.0]


def test_what_was_saved_is_read_and_what_earlier_versions_saved(tmp_path):
    blend = Blend({"user_tower": 1.0, "popular": -0.2}, {"user_tower": 30})
    blend.save(tmp_path / "blend.json")
    assert Blend.load(tmp_path / "blend.json") == blend
    told = replace(blend, told=ProxyBlend({"popular": 1.0, "collaborative": 0.1}, 20, 0.3))
    told.save(tmp_path / "blend.json")
    assert Blend.load(tmp_path / "blend.json") == told
    short = replace(told, short=ShortBlend({"popular": 1.0}, 3))
    short.save(tmp_path / "blend.json")
    assert Blend.load(tmp_path / "blend.json") == short
    (tmp_path / "blend.json").write_text('{"user_tower": 1}')
    assert Blend.load(tmp_path / "blend.json") == Blend({"user_tower": 1.0}, LIST_LENGTHS)


def test_short_histories_have_weights_of_their_own():
    blend = Blend({"user_tower": 1.0}, short=ShortBlend({"popular": 1.0}, 3))
    assert [blend.weights_for(count) for count in (1, 3, 4)] == [{"popular": 1.0}] * 2 + [{"user_tower": 1.0}]
    assert replace(blend, short=None).weights_for(1) == {"user_tower": 1.0}


@pytest.mark.parametrize(
    "content",
    [
        "[1]",
        '{"a": "b"}',
        '{"a": NaN}',
        '{"weights": {}, "list_lengths": {"a": 0}}',
        '{"weights": 1}',
        '{"weights": {}, "told": 1}',
        '{"weights": {}, "short": 1}',
        '{"weights": {}, "short": {"weights": {}}}',
        '{"weights": {}, "short": {"weights": {"a": "b"}, "most_events": 3}}',
        '{"weights": {}, "short": {"weights": {}, "most_events": 0}}',
        '{"weights": {}, "told": {"weights": {}, "nearest": 5}}',
        '{"weights": {}, "told": {"weights": {"a": "b"}, "nearest": 5, "temperature": 1}}',
        '{"weights": {}, "told": {"weights": {}, "nearest": 0, "temperature": 1}}',
        '{"weights": {}, "told": {"weights": {}, "nearest": 5, "temperature": 0}}',
        '{"weights": {}, "told": {"weights": {}, "nearest": 5, "temperature": true}}',
    ],
)
def test_anything_else_is_refused(tmp_path, content):
    (tmp_path / "blend.json").write_text(content)
    with pytest.raises(ValueError, match=r"blend\.json"):
        Blend.load(tmp_path / "blend.json")
