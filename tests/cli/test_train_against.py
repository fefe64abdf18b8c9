"""Retraining on newer events, `shortlist train --against`, and the promotion gate of `shortlist release build`."""

import json
import shutil

import numpy as np
import pytest

from cli.main import main
from domain.release_folder import current_release_id, list_releases
from tests.support.small_encoder import write_encoder

USERS, CLUSTERS, CLUSTER, EVENTS = 480, 6, 16, 9
POOR = ("collaborative.neighbour_count=1", "collaborative.transitions.count=1")
GOOD = ("collaborative.neighbour_count=40", "collaborative.transitions.count=40")
# No content, no popularity and no similar users, so that the neighbours alone decide.
SETTINGS = (
    "collaborative.similar_users.user_limit=0",
    "collaborative.ease.tried=[10.0]",
    "collaborative.side_tried=[0.0]",
    "collaborative.low_rank_tried=[0.0]",
    "ranker.examples.folds=2",
    "ranker.examples.draws=1",
    "ranker.examples.late_draws=1",
    "ranker.ranker.epochs=1",
    "ranker.ranker.members=1",
    "blend.proxy.nearest=[5]",
    "blend.proxy.temperatures=[0.3]",
    "blend.weights.tried=[0.0]",
    "blend.weights.betas=[0.0]",
    "text_ranker.draws=1",
    "text_ranker.question_limit=500",
    "text_ranker.ranker.epochs=1",
    "text_ranker.ranker.members=1",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Items, older events, and all events: users keep to one cluster of items, and go on after the older file ends."""
    folder = tmp_path_factory.mktemp("data")
    count = CLUSTERS * CLUSTER
    items = [{"id": f"i{item}", "title": f"word{item % 97} word{7 * item % 89}"} for item in range(count)]
    items = [{**item, "category": "word1", "shelf": "word2"} for item in items]
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    rng = np.random.default_rng(0)
    timed = []
    for user in range(USERS):
        liked = rng.choice(np.arange(user % CLUSTERS, count, CLUSTERS), EVENTS, replace=False)
        timed += [(1_000_000 * place + user, f"u{user},i{item}") for place, item in enumerate(liked)]
    lines = [(time_s, f"{line},{time_s}") for time_s, line in sorted(timed)]
    older = [line for time_s, line in lines if time_s < 1_000_000 * (EVENTS - 2)]
    for name, rows in (("older.csv", older), ("newer.csv", [line for _, line in lines])):
        (folder / name).write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    write_encoder(folder / "encoder")
    return folder


def _train(data, file, out, neighbours, *more):
    words = ["train", "--items", str(data / "items.jsonl"), "--interactions", str(data / file), "--out", str(out)]
    words += ["--encoder", str(data / "encoder"), "--cache", str(data / "vectors")]
    words += ["--skip", "encoder,user_tower,student,student_encoder"]
    return main([*words, *(word for setting in (*SETTINGS, *neighbours) for word in ("--set", setting)), *more])


def _build(data, model, releases, exports, *more):
    words = ["release", "build", "--items", str(data / "items.jsonl"), "--encoder", str(data / "encoder")]
    return main([*words, "--model", str(model), "--out", str(releases), "--cache", str(exports), *more])


def _words(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def older(data, exports, tmp_path_factory):
    """Releases of models that were trained on the older events, a poor one and a good one."""
    folder = tmp_path_factory.mktemp("older")
    for name, neighbours in (("poor", POOR), ("good", GOOD)):
        assert _train(data, "older.csv", folder / f"{name}-model", neighbours) == 0
        assert _build(data, folder / f"{name}-model", folder / name, exports) == 0
    return folder


@pytest.mark.slow
def test_a_retrain_on_newer_events_is_refused_until_it_is_compared(data, older, exports, tmp_path, capsys):
    releases = shutil.copytree(older / "poor", tmp_path / "releases", symlinks=True)
    current = current_release_id(releases)
    model = tmp_path / "model"
    assert _train(data, "newer.csv", model, GOOD) == 0
    capsys.readouterr()
    assert _build(data, model, releases, exports) == 1
    refusal = _words(capsys.readouterr().err)
    assert f"not compared with the release {current}" in refusal
    assert f"again with --against {releases / current}" in refusal
    assert current_release_id(releases) == current

    assert _train(data, "newer.csv", model, GOOD, "--against", str(releases / current)) == 0
    told = capsys.readouterr().out
    assert told.count("done before") == 5, "the steps must not run again"
    against = json.loads((model / "quality.json").read_text())["against"]
    assert against["release"] == current
    assert against["unseen"], "the times say which answers are later than the release's training"
    assert against["now"] > against["before"] > 0
    assert _build(data, model, releases, exports) == 0
    assert f"was {against['before']:.4f} with the release {current}" in _words(capsys.readouterr().out)
    newest = list_releases(releases)[-1]
    assert newest.manifest.parents == (current,)
    assert f"with the release {current} on the same" in (newest.path / "card.md").read_text()


@pytest.mark.slow
def test_a_worse_retrain_on_newer_events_is_refused(data, older, exports, tmp_path, capsys):
    releases = shutil.copytree(older / "good", tmp_path / "releases", symlinks=True)
    current = current_release_id(releases)
    model = tmp_path / "model"
    assert _train(data, "newer.csv", model, POOR, "--against", str(releases / current)) == 0
    against = json.loads((model / "quality.json").read_text())["against"]
    assert against["now"] < against["before"]
    assert against["difference"]["high"] < 0
    capsys.readouterr()
    assert _build(data, model, releases, exports) == 1
    refusal = _words(capsys.readouterr().err)
    assert "is worse than the current release: ndcg_at_100" in refusal
    assert f"{against['now']:.4f}, was {against['before']:.4f}" in refusal
    assert current_release_id(releases) == current
    assert _build(data, model, releases, exports, "--accept-worse") == 0
    assert "accepted all the same" in capsys.readouterr().out


@pytest.mark.slow
def test_a_release_with_other_item_texts_than_the_training_is_refused(data, older, exports, tmp_path, capsys):
    model, releases = older / "good-model", tmp_path / "releases"
    template = json.loads((list_releases(older / "good")[0].path / "manifest.json").read_text())["template"]
    assert template["item_attributes"] == ["category"]
    for flags, words in (
        (("--text-attributes", "shelf"), "attributes shelf (--text-attributes), trained with category"),
        (("--max-tokens", "16"), "cut at 16 tokens (--max-tokens), trained with"),
    ):
        assert _build(data, model, releases, exports, *flags) == 1
        assert words in _words(capsys.readouterr().err)
        assert not list(releases.glob("2*"))


@pytest.mark.slow
def test_what_cannot_be_compared_is_said_and_built(data, older, exports, tmp_path, capsys):
    releases = shutil.copytree(older / "good", tmp_path / "releases", symlinks=True)
    current = current_release_id(releases)
    model = tmp_path / "model"
    words = ["train", "--items", str(data / "items.jsonl"), "--interactions", str(data / "newer.csv")]
    words += ["--encoder", str(data / "encoder"), "--cache", str(data / "vectors"), "--only", "collaborative"]
    assert main([*words, "--out", str(model), "--against", str(releases / current)]) == 0
    assert "has no blend" in json.loads((model / "quality.json").read_text())["against"]["impossible"]
    capsys.readouterr()
    assert _build(data, model, releases, exports) == 0
    assert f"not compared with the release {current}: {model} has no blend" in _words(capsys.readouterr().out)
    card = (list_releases(releases)[-1].path / "card.md").read_text()
    assert f"not compared with the release {current}" in card
