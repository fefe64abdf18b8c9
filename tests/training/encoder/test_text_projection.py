import numpy as np
import pytest
from scipy.sparse import csr_array

from tests.support.synthetic import cold_split, history
from training.encoder.text_projection import ItemTexts, ProjectionChoice, ProjectionFit, ProjectionShape
from training.splits.split import interaction_matrix


def _texts(count=80, width=6, seed=0):
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count, width)) + 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    counts = csr_array(generator.poisson(0.2, (count, 30)).astype(np.float32))
    return ItemTexts(vectors.astype(np.float32), counts)


def _fit(texts, consumed, shape=ProjectionShape(6, bag_width=8, latent_width=3)):  # noqa: B008
    return ProjectionFit(texts, consumed, np.ones(len(texts.vectors), bool), shape, seed=0)


NOTHING = csr_array((3, 80), dtype=np.float32)


def test_without_whitening_bag_and_taste_the_centred_cosines_stay():
    texts = _texts()
    found = _fit(texts, NOTHING).fit(ProjectionChoice(0, 0, 0)).vectors(texts)
    centred = texts.vectors - texts.vectors.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(found @ found.T, centred @ centred.T, atol=1e-4)


def test_full_whitening_makes_the_axes_equal():
    texts = _texts()
    text_projection = _fit(texts, NOTHING).fit(ProjectionChoice(1, 0, 0))
    covariance = np.cov(text_projection.affine(texts.vectors).T)
    np.testing.assert_allclose(covariance, np.eye(6) * covariance[0, 0], atol=1e-6)


@pytest.mark.parametrize(
    "choice", [ProjectionChoice(0.5, 1, 0.25), ProjectionChoice(0.5, 0, 0.25), ProjectionChoice(0, 1, 0)]
)
def test_a_fitted_map_gives_the_vectors_that_were_judged(choice):
    texts = _texts()
    consumed = interaction_matrix([history([1, 2, 3]), history([3, 4]), history([5, 6, 1])], 80)
    fit = _fit(texts, consumed)
    found = fit.fit(choice).vectors(texts)
    np.testing.assert_allclose(found, fit.vectors(choice), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    assert found.shape == (80, 6)


def test_taste_brings_items_of_the_same_users_together():
    texts = _texts(width=6)
    groups = (texts.vectors[:, 3] > np.median(texts.vectors[:, 3])).astype(int) + 0
    split = cold_split(groups)
    consumed = interaction_matrix(split.train, 80)
    fit = _fit(texts, consumed)
    cold = np.flatnonzero(split.tests[0].candidates)
    same = groups[cold][:, None] == groups[cold][None, :]

    def contrast(choice):
        cosines = fit.vectors(choice)[cold] @ fit.vectors(choice)[cold].T
        return cosines[same].mean() - cosines[~same].mean()

    assert contrast(ProjectionChoice(0.5, 0, 2)) > 1.5 * contrast(ProjectionChoice(0.5, 0, 0))


def test_texts_that_may_not_be_seen_change_nothing():
    texts, other = _texts(), _texts(seed=1)
    mixed = ItemTexts(
        np.where(np.arange(80)[:, None] < 60, texts.vectors, other.vectors),
        csr_array(np.where(np.arange(80)[:, None] < 60, texts.counts.toarray(), other.counts.toarray())),
    )
    consumed = interaction_matrix([history([1, 2, 3]), history([3, 4, 70]), history([5, 6, 1])], 80)
    choice, seen = ProjectionChoice(0.5, 1, 0.5), np.arange(80) < 60
    shape = ProjectionShape(6, bag_width=8, latent_width=3)
    first, second = (ProjectionFit(each, consumed, seen, shape, 0).fit(choice) for each in (texts, mixed))
    np.testing.assert_array_equal(first.affine.weight, second.affine.weight)
    np.testing.assert_array_equal(first.table.table, second.table.table)


def test_an_item_without_text_stays_without_vector():
    texts = _texts()
    texts.vectors[7] = 0
    consumed = interaction_matrix([history([1, 2, 7]), history([3, 7])], 80)
    found = _fit(texts, consumed).fit(ProjectionChoice(0.5, 1, 0.25)).vectors(texts)
    assert not found[7].any()
    assert np.isfinite(found).all()
