import pytest

from training.reviews.agreement import measure_agreement


def test_figures_agree_with_a_hand_computation():
    labelled = [{"price": "positive", "quality": "negative"}, {"price": "negative"}, {"sound": "neutral"}]
    predicted = [{"price": "positive", "quality": "positive"}, {"price": "negative", "sound": "neutral"}, {}]
    metrics = measure_agreement(labelled, predicted)
    # price: 2 right of 2 and 2; quality: 0 of 1 and 1; sound: 0 right, 1 predicted elsewhere, 1 labelled.
    assert {name: counts.f1 for name, counts in metrics.by_aspect.items()} == {"price": 1, "quality": 0, "sound": 0}
    assert metrics.macro_f1 == pytest.approx(1 / 3)
    # positive: 1 right of 2 predicted, 1 labelled; negative: 1 of 1 and 2; neutral: 0 of 1 and 1.
    assert metrics.polarity_macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    # named: price, quality, price found; sound missed once and made up once.
    assert metrics.naming.f1 == pytest.approx(2 * 3 / (4 + 4))
    assert metrics.texts == 3


def test_nothing_labelled_is_no_division_by_zero():
    assert measure_agreement([], []).macro_f1 == 0
