import copy
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from domain.errors import NothingToLearnFrom
from domain.progress import SilentProgress
from tests.support.small_encoder import write_encoder
from tests.support.synthetic import cold_split, texts_and_groups
from training.encoder.contrastive import CoConsumptionLoss, ContrastiveSettings, fine_tune
from training.encoder.folder import load_encoder
from training.encoder.pairs import Pairs, PairSettings, PairSource, draw_pairs, drop_fields
from training.encoder.trainer import TuningRun
from training.processor import attention_for_learning, attention_for_reading, without_dropout
from training.splits.split import interaction_matrix

SETTINGS = ContrastiveSettings(
    "full", steps=4, batch_size=8, mini_batch_size=4, max_tokens=16, learning_rate=1e-3, validations=2
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_encoder(write_encoder(tmp_path_factory.mktemp("e") / "e"))


@pytest.fixture(scope="module")
def source():
    texts, groups = texts_and_groups(40)
    texts = [f"word9. {text}" for text in texts]
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    return PairSource(texts, texts, vectors, interaction_matrix(cold_split(groups, users=12).train, 40))


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(first, second):
    return [name for name, value in first.items() if not torch.equal(value, second[name])]


class Judge:
    def __init__(self, *scores):
        self.scores, self.seen = list(scores), []

    def __call__(self, model):
        self.seen.append(weights(model))
        return self.scores.pop(0) if self.scores else 0.0


def test_fine_tuning_keeps_the_best_state_and_leaves_the_model_alone(model, source, tmp_path):
    before, judge = weights(model), Judge(0.1, 0.5, 0.3)
    settings = dataclasses.replace(SETTINGS, steps=6, validations=3, accumulation=2)
    tuned = fine_tune(model, source, judge, settings, TuningRun(tmp_path / "c", 0, SilentProgress()))
    assert (tuned.score, tuned.steps) == (0.5, 6)
    assert not changed(weights(tuned.model), judge.seen[1])
    assert changed(judge.seen[1], judge.seen[2])
    assert not changed(before, weights(model))
    assert tuned.model.max_seq_length == model.max_seq_length


def test_patience_ends_it(model, source, tmp_path):
    settings = dataclasses.replace(SETTINGS, steps=8, validations=8, patience=2)
    tuned = fine_tune(model, source, Judge(0.5, 0.4, 0.3), settings, TuningRun(tmp_path / "c", 0, SilentProgress()))
    assert tuned.steps == 3


def test_time_ends_it(model, source, tmp_path):
    settings = dataclasses.replace(SETTINGS, max_seconds=1e-6)
    assert fine_tune(model, source, Judge(), settings, TuningRun(tmp_path / "c", 0, SilentProgress())).steps == 1


def test_little_to_learn_from_is_not_gone_over_for_ever(model, source, tmp_path):
    chosen = source.consumed.nnz
    settings = dataclasses.replace(SETTINGS, steps=10_000, passes=1, batch_size=chosen // 2, validations=1)
    assert (
        fine_tune(model, source, Judge(), settings, TuningRun(tmp_path / "c", 0, SilentProgress())).steps
        == 2 + chosen % 2
    )


def test_an_interrupted_run_goes_on_from_its_checkpoint(model, source, tmp_path):
    class Killed(Exception):
        pass

    def kill(_):
        raise Killed

    run = TuningRun(tmp_path / "c", 0, SilentProgress())
    settings = dataclasses.replace(SETTINGS, steps=4, validations=1)
    with pytest.raises(Killed):
        fine_tune(model, source, kill, settings, run)
    assert (tmp_path / "c/checkpoint-2/trainer_state.json").is_file()
    resumed = fine_tune(model, source, Judge(), settings, run)
    whole = fine_tune(model, source, Judge(), settings, TuningRun(tmp_path / "d", 0, SilentProgress()))
    for name, value in weights(whole.model).items():
        torch.testing.assert_close(weights(resumed.model)[name], value, atol=1e-6, rtol=1e-4)


def test_low_rank_updates_are_merged(model, source, tmp_path):
    settings = dataclasses.replace(SETTINGS, mode="lora", lora_rank=2, validations=1, steps=3)
    tuned = fine_tune(model, source, Judge(), settings, TuningRun(tmp_path / "c", 0, SilentProgress()))
    names = list(tuned.model.state_dict())
    assert not [name for name in names if "lora" in name]
    assert names == [name for name in model.state_dict() if name in names]
    tuned.model.save(str(tmp_path / "out"), create_model_card=False)
    text = ["word1 word2 word3"]
    np.testing.assert_allclose(load_encoder(tmp_path / "out").encode(text), tuned.model.encode(text), atol=1e-5)
    assert np.abs(tuned.model.encode(text) - model.encode(text)).max() > 1e-5


def test_what_the_user_chose_is_no_negative(model):
    consumed = csr_array(np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 0]], np.float32))
    pairs = Pairs(("a",) * 3, ("b",) * 3, ("c",) * 3, np.array([0, 1, 0]), np.array([0, 3, 2]), np.array([4, 1, 3]))
    loss = CoConsumptionLoss(model, pairs, consumed, SETTINGS)
    labels = torch.tensor([0, 1, 2])
    expected = [
        [False, False, True, False, True, False],
        [False, False, True, False, False, True],
        [True, False, False, False, True, False],
    ]
    assert loss.false_negatives(labels, labels, 0).tolist() == expected
    assert loss.false_negatives(labels[1:2], labels, 1).tolist() == expected[1:2]
    # An unmasked batch would punish what the masked one must not see.
    anchors, positives = torch.eye(3)[[0, 1, 0]], torch.eye(3)[[0, 1, 0]]
    negatives = torch.eye(3)[[2, 2, 2]]
    masked = loss.calculate_loss([[anchors], [positives], [negatives]], labels)
    assert masked < 0.01


def test_cached_gradients_equal_those_of_the_whole_batch(model, source):
    pairs = draw_pairs(source, 6, PairSettings(), 0)
    gradients = []
    for size in (2, 6):
        settings = dataclasses.replace(SETTINGS, mini_batch_size=size)
        loss = CoConsumptionLoss(model, pairs, source.consumed, settings)
        model.eval()
        model.zero_grad()
        features = [model.preprocess(list(column)) for column in (pairs.anchors, pairs.positives, pairs.negatives)]
        loss(features, torch.arange(6)).backward()
        gradients.append(model[0].model.embeddings.word_embeddings.weight.grad.clone())
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)
    assert gradients[0].abs().max() > 0


def test_pairs_belong_to_one_user_and_negatives_do_not(source):
    pairs = draw_pairs(source, 50, PairSettings(history_share=0.5), 1)
    chosen = source.consumed.toarray() > 0
    assert len(pairs.anchors) == 50
    assert chosen[pairs.users, pairs.positive_rows].all()
    assert not chosen[pairs.users, pairs.negative_rows].any()
    told = [anchor for anchor in pairs.anchors if anchor.startswith("Liked ")]
    assert 10 < len(told) < 40
    assert draw_pairs(source, 50, PairSettings(history_share=0.5), 1).anchors == pairs.anchors


def test_nobody_with_two_items_is_refused(model, source, tmp_path):
    alone = dataclasses.replace(source, consumed=csr_array(np.eye(3, 40, dtype=np.float32)))
    with pytest.raises(NothingToLearnFrom, match="two items"):
        fine_tune(model, alone, Judge(), SETTINGS, TuningRun(tmp_path / "c", 0, SilentProgress()))


def test_fields_are_dropped_but_never_all():
    generator = np.random.default_rng(0)
    found = {drop_fields("Title. 1999. Drama", 0.6, generator) for _ in range(100)}
    assert found >= {"Title. 1999. Drama", "Title", "Title. Drama", "1999"}
    assert "" not in found
    assert drop_fields("Title. 1999", 0, generator) == "Title. 1999"


@pytest.mark.parametrize("wrong", [{"batch_size": 1}, {"widths": (0.0,)}, {"temperature": 0.0}, {"steps": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        ContrastiveSettings(**wrong)


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path):
    folder = write_encoder(tmp_path / "e")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.support.ddp_fine_tune", str(folder), str(tmp_path)]
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    first, second = (tmp_path / f"{rank}-of-2.txt" for rank in (0, 1))
    assert first.read_text() == second.read_text()


def test_dropout_is_off_on_a_processor_unless_asked_for(model):
    assert ContrastiveSettings().with_dropout() == torch.cuda.is_available()
    assert ContrastiveSettings(dropout="on").with_dropout()
    assert not ContrastiveSettings(dropout="off").with_dropout()
    wild = copy.deepcopy(model).train()
    for module in wild.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    read = wild.tokenize(["one word and another"])
    assert not torch.equal(*(wild(dict(read))["sentence_embedding"] for _ in range(2)))
    without_dropout(wild)
    assert torch.equal(*(wild(dict(read))["sentence_embedding"] for _ in range(2)))


def test_a_judge_reads_with_the_quickest_attention_and_learning_goes_on_with_its_own():
    with attention_for_learning():
        learning = torch.backends.cuda.flash_sdp_enabled()
        with attention_for_reading():
            assert torch.backends.cuda.flash_sdp_enabled()
        assert torch.backends.cuda.flash_sdp_enabled() == learning == torch.cuda.is_available()
