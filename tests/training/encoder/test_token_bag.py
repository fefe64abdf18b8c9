import numpy as np
import torch

from tests.support.small_encoder import write_encoder
from training.encoder.token_bag import TokenBag, TokenTable, fit_token_table, token_counts


def test_tokens_are_counted_as_the_encoder_reads_them(tmp_path):
    folder = write_encoder(tmp_path / "e")
    counts = token_counts(["word1 word1 word2", "", "word3 " * 50], folder / "tokenizer.json", 16).toarray()
    # [CLS] 2, [SEP] 3; words from 5 on. The file's own truncation to 8 is not obeyed.
    assert counts[0, 6] == 2
    assert counts[0, 7] == 1
    assert counts.sum(axis=1).tolist() == [5, 2, 16]


def test_common_company_brings_tokens_together(tmp_path):
    folder = write_encoder(tmp_path / "e")
    texts = ["word1 word2", "word1 word2", "word2 word1 word9", "word3 word4", "word3 word4 word9", "word4 word3"]
    counts = token_counts(texts, folder / "tokenizer.json", 16)
    table = fit_token_table(counts, 2, seed=0)
    assert table.token_row[[2, 3]].tolist() == [0, 0]  # a token of every text has no say
    assert table.token_row[10] == 0  # nor one that never occurs
    vectors = table.vectors(counts)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.99
    assert cosines[0, 2] > 0.7
    assert abs(cosines[0, 3]) < 0.3


def test_nothing_to_tell_apart_is_an_empty_table(tmp_path):
    folder = write_encoder(tmp_path / "e")
    counts = token_counts(["word1", "word1"], folder / "tokenizer.json", 16)
    assert (fit_token_table(counts, 4, seed=0).vectors(counts) == 0).all()


def test_the_module_computes_what_the_table_says_and_survives_saving(tmp_path):
    generator = np.random.default_rng(0)
    table = TokenTable(
        np.array([0, 1, 2, 0, 3]), np.vstack([np.zeros((1, 4)), generator.normal(size=(3, 4))]).astype(np.float32)
    )
    TokenBag.of(table).save(str(tmp_path))
    module = TokenBag.load(str(tmp_path))
    features = {
        "input_ids": torch.tensor([[1, 4, 4, 3], [2, 1, 4, 4]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]]),
        "sentence_embedding": torch.ones(2, 3),
    }
    found = module(features)["sentence_embedding"].detach().numpy()
    for row, total in enumerate([table.table[1] + 2 * table.table[3], table.table[2]]):
        np.testing.assert_allclose(found[row, 3:], total / np.linalg.norm(total), rtol=1e-5)
    assert (found[:, :3] == 1).all()
