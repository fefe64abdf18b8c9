"""`shortlist train`, from the sample catalogue to a model folder that can be judged."""

import csv
import json
from pathlib import Path

import pytest

from cli.main import main
from core.ranking.blend import Blend
from core.text.encoder_card import read_languages
from tests.support.small_encoder import write_encoder

SAMPLE = Path(__file__).parents[2] / "sample"
TINY = (
    "encoder.folds=1",
    "encoder.contrastive.mode=lora",
    "encoder.contrastive.steps=2",
    "encoder.contrastive.batch_size=8",
    "encoder.contrastive.validations=1",
    "encoder.bag_width=16",
    "encoder.latent_width=8",
    "encoder.bag_gain=[1.0]",
    "encoder.latent_gain=[0.5]",
    "collaborative.ease.tried=[10.0]",
    "user_tower.epochs=1",
    "student.static.epochs=1",
    "student.static.most_prior_tokens=50",
    "student.least_kept=0.0",
    "student_encoder.layers.layer_count=1",
    "student_encoder.layers.epochs=1",
    "student_encoder.layers.validations=1",
    "student_encoder.layers.most_texts=60",
    "user_tower.width=16",
    "ranker.examples.folds=2",
    "ranker.ranker.epochs=2",
    "ranker.ranker.members=1",
    "text_ranker.ranker.epochs=2",
    "text_ranker.ranker.members=1",
    "blend.proxy.nearest=[5]",
    "blend.proxy.temperatures=[0.3]",
)


@pytest.fixture(scope="module")
def interactions(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "interactions.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "item_id", "kind", "timestamp"])
        for line in (SAMPLE / "users.jsonl").read_text(encoding="utf-8").splitlines():
            user = json.loads(line)
            for event in user["events"]:
                writer.writerow([user["id"], event["item_id"], event["kind"], event["time"]])
    return path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


def _train(interactions, encoder, out, *more, settings=TINY):
    arguments = ["train", "--items", str(SAMPLE / "items.jsonl"), "--interactions", str(interactions)]
    arguments += ["--encoder", str(encoder), "--out", str(out), "--cache", str(out.parent / "cache"), *more]
    return main(arguments + [word for setting in settings for word in ("--set", setting)])


def test_a_run_trains_every_part_resumes_and_is_judged(interactions, encoder, tmp_path, capsys):
    out = tmp_path / "model"
    assert _train(interactions, encoder, out, "--protocol", "next-item") == 0
    run = json.loads((out / "run.json").read_text())
    assert {"encoder", "collaborative", "user_tower", "ranker"} <= set(run["steps"])
    tuned = run["steps"]["encoder"]["metrics"]
    assert 0 < tuned["held_ndcg_at_100"] <= 1
    assert 0 < tuned["zero_shot_held_ndcg_at_100"] <= 1
    assert run["split"]["protocol"] == "next-item"
    quality = json.loads((out / "quality.json").read_text())
    assert quality["protocol"] == "validation, next-item"
    assert set(quality["metrics"]) == {name for name, step in run["steps"].items() if step["accepted"]}
    assert json.loads((out / "data.json").read_text())["user_count"] > 50
    assert (out / "plots" / "curves.png").is_file()
    proxy = Blend.load(out / "blend.json").proxy
    assert proxy is not None
    assert (proxy.nearest, proxy.temperature) == (5, 0.3)
    assert proxy.weights
    capsys.readouterr()

    assert _train(interactions, encoder, out, "--protocol", "next-item") == 0
    told = capsys.readouterr().out
    assert told.count("done before") == len(run["steps"])
    assert json.loads((out / "run.json").read_text())["steps"] == run["steps"]

    judged = tmp_path / "judged.json"
    arguments = ["evaluate", "--items", str(SAMPLE / "items.jsonl"), "--interactions", str(interactions), "--untuned"]
    arguments += ["--protocol", "next-item", "--model", str(out), "--encoder", str(encoder), "--json", str(judged)]
    assert main([*arguments, "--cache", str(tmp_path / "cache")]) == 0
    assert "hybrid recall" in judged.read_text()


def test_another_split_than_the_folders_is_refused(interactions, encoder, tmp_path, capsys):
    out = tmp_path / "model"
    only = ("--only", "collaborative")
    assert _train(interactions, encoder, out, "--protocol", "next-item", *only) == 0
    assert _train(interactions, encoder, out, "--protocol", "warm-users", *only) == 1
    assert "begun with other data, another protocol" in capsys.readouterr().err


def test_a_search_keeps_the_best_settings(interactions, encoder, tmp_path):
    out = tmp_path / "model"
    assert _train(interactions, encoder, out, "--only", "collaborative,blend") == 0
    assert _train(interactions, encoder, out, "--only", "ranker", "--search", "2") == 0
    told = json.loads((out / "search.json").read_text())
    assert len(told["trials"]) == 2
    settings = json.loads((out / "run.json").read_text())["settings"]["ranker"]["ranker"]
    assert settings["learning_rate"] == told["best"]["ranker.learning_rate"]


@pytest.mark.parametrize(
    "case",
    [
        (("--only", "nonesuch"), "no step nonesuch; steps are"),
        (("--skip", "nonesuch"), "no step nonesuch; steps are"),
        (("--set", "encoder.nonesuch=1"), "encoder has no setting nonesuch"),
        (("--preset", "nonesuch"), "nonesuch"),
        (("--only", "aspects"), "the interactions have no text"),
        (("--only", "aspects", "--search", "2"), "nothing to search in aspects"),
    ],
)
def test_what_cannot_be_done_is_said_before_hours_are_spent(interactions, encoder, tmp_path, capsys, case):
    more, said = case
    assert _train(interactions, encoder, tmp_path / "model", *more) == 1
    assert said in capsys.readouterr().err


def test_without_interactions_the_encoder_is_adapted_to_the_texts(encoder, tmp_path, capsys):
    out = tmp_path / "model"
    words = ["train", "--items", str(SAMPLE / "items.jsonl"), "--encoder", str(encoder), "--out", str(out)]
    words += ["--set", "adaptation.steps=2", "--set", "adaptation.batch_size=8", "--set", "adaptation.max_tokens=16"]
    words += ["--encoder-languages", "en,de-AT"]
    assert main(words) == 0
    record = json.loads((out / "run.json").read_text())["steps"]["adaptation"]
    assert (out / "encoder").is_dir() == record["accepted"]
    assert read_languages(out / "encoder") == (("en", "de") if record["accepted"] else ())
    assert record["accepted"] == (record["metrics"]["halves_found"] > record["metrics"]["halves_found_before"])
    assert main([*words, "--protocol", "next-item"]) == 1
    assert "--protocol needs --interactions" in capsys.readouterr().err
    assert main(["train", "--out", str(tmp_path / "other")]) == 1
    assert "give --interactions, or --items" in capsys.readouterr().err
