import pytest

from training.reviews.agreement import aspect_figures


def test_figures_agree_with_a_hand_computation():
    labelled = [{"price": "positive", "quality": "negative"}, {"price": "negative"}, {"sound": "neutral"}]
    predicted = [{"price": "positive", "quality": "positive"}, {"price": "negative", "sound": "neutral"}, {}]
    figures = aspect_figures(labelled, predicted)
    # price: 2 right of 2 and 2; quality: 0 of 1 and 1; sound: 0 right, 1 predicted elsewhere, 1 labelled.
    assert {name: counts.f1 for name, counts in figures.by_aspect.items()} == {"price": 1, "quality": 0, "sound": 0}
    assert figures.macro_f1 == pytest.approx(1 / 3)
    # positive: 1 right of 2 predicted, 1 labelled; negative: 1 of 1 and 2; neutral: 0 of 1 and 1.
    assert figures.polarity_macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    # named: price, quality, price found; sound missed once and made up once.
    assert figures.naming.f1 == pytest.approx(2 * 3 / (4 + 4))
    assert figures.texts == 3


def test_nothing_labelled_is_no_division_by_zero():
    assert aspect_figures([], []).macro_f1 == 0
