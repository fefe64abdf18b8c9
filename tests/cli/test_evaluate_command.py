import json
import math

import numpy as np
import pytest

from cli.main import main
from domain.model_folder import FORMAT
from tests.support.small_encoder import write_encoder
from training.run.folder import digest


def _interactions(tmp_path, users=60, items=40, seed=0):
    """Two tastes: even users like even items; times go up."""
    rng = np.random.default_rng(seed)
    lines = ["user_id,item_id,timestamp"]
    for user in range(users):
        liked = rng.choice(np.arange(user % 2, items, 2), 10, replace=False)
        lines += [f"u{user},i{item},{1000 * user + time}" for time, item in enumerate(liked)]
    path = tmp_path / "interactions.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def _figures(tmp_path, *words):
    out = tmp_path / "out.json"
    assert main(["evaluate", *words, "--json", str(out), "--untuned"]) == 0
    return json.loads(out.read_text())


@pytest.mark.parametrize("protocol", ["warm-users", "next-item"])
def test_a_protocol_is_judged_and_knowledge_beats_chance(tmp_path, capsys, protocol):
    path = _interactions(tmp_path)
    found = _figures(tmp_path, "--interactions", str(path), "--protocol", protocol)
    methods = found["table"]["methods"]
    recall = {name: method["metrics"]["recall@10"] for name, method in methods.items()}
    assert list(methods) == ["random", "popularity", "item-kNN", "user-kNN", "EASE", "ALS"]
    assert recall["item-kNN"]["low"] > recall["random"]["high"]
    assert found["reference"] in ("popularity", "item-kNN", "EASE", "ALS")
    assert found["ratios_to_reference"]["random"][next(iter(found["ratios_to_reference"]["random"]))]["high"] < 1
    assert "item-kNN" in capsys.readouterr().out
    if protocol == "warm-users":
        assert [table["name"] for table in found["cold_users"]] == ["1 event", "3 events"]
        assert found["table"]["draws"] == 5


def test_the_same_command_gives_the_same_figures(tmp_path):
    words = ("--interactions", str(_interactions(tmp_path)), "--protocol", "warm-users", "--methods", "itemknn,random")
    first, second = (_figures(tmp_path, *words) for _ in range(2))
    for name in ("item-kNN", "random"):
        assert first["table"]["methods"][name]["metrics"] == second["table"]["methods"][name]["metrics"]


def test_methods_that_train_for_long_run_when_they_are_named(tmp_path):
    names = ["random", "ELSA", "softmax MF", "SASRec", "GPT-2"]
    words = ("--protocol", "next-item", "--methods", ",".join(names))
    found = _figures(tmp_path, "--interactions", str(_interactions(tmp_path, users=40, items=20)), *words)
    methods = found["table"]["methods"]
    assert list(methods) == names
    for name in names[1:]:
        assert methods[name]["metrics"]["auc"]["low"] > methods["random"]["metrics"]["auc"]["high"], name


def test_models_of_ids_alone_cannot_answer_for_new_items(tmp_path, capsys):
    found = _figures(tmp_path, "--interactions", str(_interactions(tmp_path)), "--protocol", "cold-items")
    assert [name for name, method in found["table"]["methods"].items() if method] == ["random"]


def test_a_split_of_ones_own_and_a_test_item_in_training(tmp_path, capsys):
    lines = _interactions(tmp_path).read_text().splitlines()
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    held = [line for line in lines[1:] if int(line.rsplit(",", 1)[1]) % 1000 >= 8]
    train.write_text("\n".join(line for line in lines if line not in held))
    test.write_text("\n".join([lines[0], *held]))
    words = ["--train-interactions", str(train), "--test-interactions", str(test)]
    found = _figures(tmp_path, *words, "--candidates", "test-items", "--methods", "popularity,ease")
    assert found["table"]["case_count"] == 60 and list(found["table"]["methods"]) == ["popularity", "EASE"]
    test.write_text("\n".join([lines[0], *held, lines[1]]))
    assert main(["evaluate", *words]) == 1
    assert "occur in training too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --interactions with --protocol"),
        (["--interactions", "x.csv"], "belong together"),
        (["--train-interactions", "x.csv"], "together"),
        (["--interactions", "x.csv", "--protocol", "next-item", "--candidates", "test-items"], "its own candidates"),
        (["--interactions", "{file}", "--protocol", "next-item", "--methods", "best"], "no method best"),
        (["--interactions", "{file}", "--protocol", "next-item", "--report", "{file}/none/r.html"], "no folder"),
        (["--interactions", "{file}", "--protocol", "next-item", "--model", "{file}"], "not a model folder"),
    ],
)
def test_what_cannot_be_judged_is_said_at_once(tmp_path, capsys, words, message):
    path = _interactions(tmp_path)
    assert main(["evaluate", *(word.format(file=path) for word in words)]) == 1
    assert message in capsys.readouterr().err


def test_a_model_is_judged_only_by_the_split_it_was_trained_for(tmp_path, capsys):
    path, model = _interactions(tmp_path), tmp_path / "model"
    words = ["evaluate", "--interactions", str(path), "--protocol", "warm-users", "--model", str(model), "--untuned"]
    model.mkdir()
    trained = {"protocol": "warm-users", "seed": 42, "positive_rating": None, "items_sha256": None}
    trained["interactions_sha256"] = digest(path)
    cases = [
        ({**trained, "protocol": None}, "every test item is in its training"),
        ({**trained, "protocol": "next-item"}, "protocol next-item (asked: warm-users)"),
        ({**trained, "seed": 1}, "seed 1 (asked: 42)"),
        ({**trained, "interactions_sha256": "0"}, "interactions_sha256"),
    ]
    for split, message in cases:
        (model / "run.json").write_text(json.dumps({"format": FORMAT, "split": split}))
        assert main(words) == 1
        assert message in capsys.readouterr().err
    (model / "run.json").write_text(json.dumps({"format": FORMAT, "split": trained}))
    assert main([*words, "--methods", "popularity"]) == 0


def test_a_model_of_a_training_file_is_judged_by_what_was_held_back_from_it(tmp_path, capsys):
    train, test, model = tmp_path / "train.csv", tmp_path / "test.csv", tmp_path / "model"
    lines = _interactions(tmp_path).read_text().splitlines()
    held = [line for line in lines[1:] if int(line.rsplit(",", 1)[1]) % 1000 >= 8]
    train.write_text("\n".join(line for line in lines if line not in held))
    test.write_text("\n".join([lines[0], *held]))
    assert main(["train", "--interactions", str(train), "--out", str(model), "--only", "collaborative"]) == 0
    words = ["--train-interactions", str(train), "--test-interactions", str(test), "--model", str(model)]
    found = _figures(tmp_path, *words, "--methods", "random,neighbour-table")
    methods = found["table"]["methods"]
    assert methods["neighbour table"]["metrics"]["recall@10"]["low"] > methods["random"]["metrics"]["recall@10"]["high"]
    words[1] = str(_interactions(tmp_path, seed=1))
    assert main(["evaluate", *words]) == 1
    capsys.readouterr()
    protocol = ["--interactions", str(train), "--protocol", "next-item", "--model", str(model)]
    assert main(["evaluate", *protocol]) == 1
    assert "every test item is in its training" in capsys.readouterr().err


def test_items_with_texts_have_a_semantic_row_also_for_a_line_of_text(tmp_path):
    encoder = write_encoder(tmp_path / "encoder")
    items = tmp_path / "items.jsonl"
    # Even and odd items, and so the two tastes, are told in different words.
    told = [{"id": f"i{item}", "title": f"word{item % 2} word{item % 2 + 2}", "text": "a"} for item in range(40)]
    items.write_text("\n".join(json.dumps(item) for item in told))
    words = ["--items", str(items), "--interactions", str(_interactions(tmp_path)), "--encoder", str(encoder)]
    words += ["--cache", str(tmp_path / "cache"), "--report", str(tmp_path / "r.html")]
    found = _figures(tmp_path, *words, "--protocol", "cold-items", "--methods", "random,semanticzeroshot")
    for table in (found["table"], *found["cold_users"]):
        auc = {name: method["metrics"]["auc"] for name, method in table["methods"].items()}
        assert auc["semantic, zero-shot"]["low"] > auc["random"]["high"], table["name"]
    assert [table["name"] for table in found["cold_users"]] == ["1 event", "3 events", "a line of text"]
    assert "a line of text" in (tmp_path / "r.html").read_text()


def test_no_figure_is_nan_in_the_file(tmp_path):
    found = _figures(tmp_path, "--interactions", str(_interactions(tmp_path)), "--protocol", "next-item")

    def walk(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for entry in value:
                walk(entry)
        assert not (isinstance(value, float) and math.isnan(value))

    walk(found)
