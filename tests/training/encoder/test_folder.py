"""How encoder folders are loaded for training: their prompts, and their padding."""

import json

import numpy as np
import pytest

from domain.progress import SilentProgress
from domain.prompts import Prompts, TextRole, read_prompts
from export.encoder.source import resolve_encoder
from tests.support.small_encoder import write_encoder
from tests.support.small_families import write_family
from tests.support.synthetic import cold_split
from training.encoder.folder import base_modules, load_encoder, prompts_of, rebuilt
from training.encoder.item_vectors import item_vectors
from training.encoder.pairs import PairSettings, PairSource, draw_pairs
from training.splits.split import interaction_matrix

PROMPTS = {"query": "word7 word7 ", "passage": "word8 "}


@pytest.fixture
def prompted(tmp_path):
    folder = write_encoder(tmp_path / "prompted")
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": PROMPTS}))
    return folder


def test_items_are_passages_unless_said_otherwise(prompted, tmp_path):
    plain = write_encoder(tmp_path / "plain")
    told = lambda folder, *texts, **how: item_vectors(texts, folder, 64, tmp_path / "cache", SilentProgress(), **how)  # noqa: E731
    np.testing.assert_allclose(told(prompted, "word1", "word2"), told(plain, "word8 word1", "word8 word2"), atol=1e-6)
    asked = told(prompted, "word1", role=TextRole.QUERY)
    np.testing.assert_allclose(asked, told(plain, "word7 word7 word1"), atol=1e-6)
    assert not told(prompted, "").any()  # a prompt makes no text of nothing


def test_a_loaded_encoder_reads_texts_as_passages(prompted, tmp_path):
    plain = load_encoder(write_encoder(tmp_path / "plain"))
    np.testing.assert_allclose(load_encoder(prompted).encode("word1"), plain.encode("word8 word1"), atol=1e-6)


def test_prompts_are_carried_over_and_saved(prompted, tmp_path):
    model = load_encoder(prompted)
    again = rebuilt(model, base_modules(model))
    again.save(str(tmp_path / "saved"), create_model_card=False)
    assert prompts_of(again) == read_prompts(tmp_path / "saved") == Prompts(PROMPTS["query"], PROMPTS["passage"])
    np.testing.assert_allclose(load_encoder(tmp_path / "saved").encode("word1"), model.encode("word1"), atol=1e-6)


def test_histories_are_queries_and_items_passages_in_fine_tuning():
    titles, groups = [f"title{row}" for row in range(40)], np.arange(40) % 4
    texts = tuple(f"{title}. text" for title in titles)
    consumed = interaction_matrix(cold_split(groups, users=12).train, 40)
    source = PairSource(texts, titles, np.ones((40, 4), np.float32), consumed, Prompts("q ", "p "))
    pairs = draw_pairs(source, 40, PairSettings(), 0)
    assert {anchor[:2] for anchor in pairs.anchors} == {"q ", "p "}
    for anchor in pairs.anchors:
        assert anchor.startswith("q Liked ") == anchor.startswith("q ")
    assert {text[:2] for text in (*pairs.positives, *pairs.negatives)} == {"p "}


@pytest.mark.parametrize("pad_token", [None, "<|endoftext|>"])
def test_a_gpt2_without_a_padding_token_encodes_batches_as_it_does_single_texts(tmp_path, pad_token):
    """Padding goes to the right whatever the tokenizer prefers: positions count from the text's first token."""
    folder = write_family(tmp_path / "gpt2", "gpt2")
    path = folder / "tokenizer_config.json"
    config = {**json.loads(path.read_text()), "padding_side": "left", "pad_token": pad_token}
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    model = load_encoder(folder)
    texts = ["word1", "word2 word3 and word4, word5", "word6 word7"]
    together = model.encode(texts)
    np.testing.assert_allclose(together, np.stack([model.encode(text) for text in texts]), atol=1e-5)


def test_a_transformer_in_a_folder_of_its_own_keeps_the_roots_pooling_and_prompts(tmp_path):
    root = tmp_path / "st"
    write_encoder(root / "0_Transformer")
    kinds = (("0_Transformer", "Transformer"), ("1_Pooling", "Pooling"))
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds]
    (root / "modules.json").write_text(json.dumps(modules))
    (root / "1_Pooling").mkdir()
    (root / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 32, "pooling_mode": "cls"}))
    (root / "config_sentence_transformers.json").write_text(json.dumps({"prompts": PROMPTS}))
    source = resolve_encoder(str(root))
    model = load_encoder(source.root)
    assert (model[1].pooling_mode, prompts_of(model).passage) == ("cls", PROMPTS["passage"])
    assert (source.pooling, source.passage_prompt) == ("cls", PROMPTS["passage"])
