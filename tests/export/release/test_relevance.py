"""The floors of claims of meaning, as a build measures them with the release's own encoder."""

import json

import numpy as np
import pytest

from core.ranking.relevance import RelevanceScale
from core.text.tokenize import UNREADABLE_LIMIT, TextTokenizer
from domain import release_folder as layout
from export.onnx_session import embed, open_session


@pytest.fixture(scope="module")
def sample(releases):
    return layout.find_release(releases, None).path


@pytest.fixture(scope="module")
def catalogue(sample):
    """Titles and vectors of the items that the encoder reads."""
    readable = np.load(sample / layout.UNREADABLE_SHARE) <= UNREADABLE_LIMIT
    lines = (sample / layout.ITEMS).read_text(encoding="utf-8").splitlines()
    titles = [json.loads(line)["title"] for line, reads in zip(lines, readable, strict=True) if reads]
    return titles, np.load(sample / layout.VECTORS)[readable]


def others(count):
    """Pairs of two different rows, int64[2, m]."""
    pairs = np.random.default_rng(1).integers(count, size=(2, 20_000))
    return pairs[:, pairs[0] != pairs[1]]


def test_few_titles_reach_another_item_and_most_their_own(sample, catalogue):
    titles, vectors = catalogue
    scale = RelevanceScale.load(sample / layout.RELEVANCE)
    tokens = TextTokenizer(sample / layout.TOKENIZER, 256).tokenize(titles)
    queries = embed(open_session(sample / layout.ENCODER), tokens, 0, 32)
    text, item = others(len(titles))
    assert ((queries[text] * vectors[item]).sum(axis=1) >= scale.close_from).mean() < 0.015
    assert ((queries * vectors).sum(axis=1) >= scale.close_from).mean() > 0.95


def test_few_items_resemble_another(sample, catalogue):
    _, vectors = catalogue
    scale = RelevanceScale.load(sample / layout.RELEVANCE)
    one, other = others(len(vectors))
    cosines = (vectors[one] * vectors[other]).sum(axis=1)
    assert 0.005 < (cosines >= scale.resembles_from).mean() < 0.015
    assert scale.resembles_from > np.quantile(cosines, 0.95)
