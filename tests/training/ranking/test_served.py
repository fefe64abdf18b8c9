"""Questions for the ranker that a gateway served."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.ranking.features import FEATURE_NAMES
from domain.errors import TrainingRefused
from training.ranking.examples import Examples
from training.ranking.ranker import RankerSettings, held_out
from training.ranking.served import served_examples, with_served

IDS = ["a", "b", "c", "d"]


def write(path, rows, names=FEATURE_NAMES):
    """Rows of request, item, rank, shown, clicked, converted; an item's features are its place among the ids."""
    columns = dict(
        zip(("request", "item_id", "rank", "shown", "clicked", "converted"), zip(*rows, strict=True), strict=True)
    )
    features = {f"feature_{name}": [float((*IDS, "gone").index(row[1])) for row in rows] for name in names}
    pq.write_table(pa.table({**{name: list(part) for name, part in columns.items()}, **features}), path)
    return path


def test_a_reply_becomes_a_question_of_what_was_shown(tmp_path):
    rows = [
        ("r1", "b", 2, True, False, False),
        ("r1", "a", 1, True, True, False),
        ("r1", "c", 3, False, False, False),  # never seen by the user
        ("r1", "gone", 4, True, False, False),
        ("r2", "d", 2, False, False, True),  # nobody recorded what was shown
        ("r2", "c", 1, False, False, False),
        ("r3", "a", 1, True, False, False),  # nothing chosen
    ]
    found = served_examples(write(tmp_path / "f.parquet", rows), IDS)
    assert found.rows.tolist() == [[0, 1], [2, 3]]
    assert found.chosen.tolist() == [[True, False], [False, True]]
    assert found.mask.all()
    assert found.features[1, :, 0].tolist() == [2.0, 3.0]
    assert found.blend_ndcg == pytest.approx([1, 1 / np.log2(3)])
    assert found.target_count.tolist() == [1, 1]


def test_served_questions_join_the_others_and_are_never_held_out(tmp_path):
    rows = [("r", item, place, True, place == 2, False) for place, item in enumerate(IDS)]
    served = served_examples(write(tmp_path / "f.parquet", rows), IDS)
    count = 20
    mask = np.ones((count, 2), bool)
    chosen = np.tile([True, False], (count, 1))
    own = Examples(
        np.ones((count, 2, len(FEATURE_NAMES)), np.float32), mask, chosen, np.tile([0, 1], (count, 1)),
        np.ones(count, np.int64), np.arange(count), np.ones(count, bool), np.zeros(count),
    )  # fmt: skip
    both = with_served(own, served)
    assert both.rows.shape == (count + 1, 4)
    assert both.rows[0].tolist() == [0, 1, -1, -1]
    assert both.mask[0].tolist() == [True, True, False, False]
    assert both.rows[-1].tolist() == [0, 1, 2, 3]
    settings = RankerSettings()
    assert held_out(both, settings)[:count].tolist() == held_out(own, settings).tolist()
    assert not held_out(both, settings)[-1]


def test_a_file_without_rows_has_no_questions(tmp_path):
    path = write(tmp_path / "f.parquet", [("r", "a", 1, True, True, False)])
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    assert not len(served_examples(path, IDS).group)


def test_features_of_another_version_are_refused(tmp_path):
    path = write(tmp_path / "f.parquet", [("r", "a", 1, True, True, False)], FEATURE_NAMES[1:])
    with pytest.raises(TrainingRefused, match=f"no column feature_{FEATURE_NAMES[0]}"):
        served_examples(path, IDS)
    (tmp_path / "bad").write_text("x")
    with pytest.raises(TrainingRefused, match="not a file of served features"):
        served_examples(tmp_path / "bad", IDS)
