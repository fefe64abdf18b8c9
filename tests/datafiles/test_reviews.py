import gzip

import pytest

from datafiles.reviews import LabelledReview, read_reviews
from domain.errors import ReviewFileError


def test_json_lines_with_and_without_labels(tmp_path):
    path = tmp_path / "reviews.jsonl.gz"
    lines = (
        '{"id": 7, "item_id": "kettle", "language": "en", "text": "Cheap.", "extra": null, '
        '"aspects": [{"aspect": "price", "polarity": "positive"}]}\n\n{"text": "嗯"}\n'
    )
    path.write_bytes(gzip.compress(lines.encode()))
    assert read_reviews(path) == (
        LabelledReview("Cheap.", "7", "kettle", "", "en", {"price": "positive"}),
        LabelledReview("嗯"),
    )


def test_csv(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text('user_id,item_id,text\nann,kettle,"Cheap,\nand good."\n', encoding="utf-8-sig")
    assert read_reviews(path) == (LabelledReview("Cheap,\nand good.", item_id="kettle", user_id="ann"),)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "unknown kind"),
        ("a.jsonl", b"", "no reviews"),
        ("a.jsonl", b'{"text": "x"}\n{"text"', "line 2: broken JSON"),
        ("a.jsonl", b"[1]", "line 1: expected one JSON object"),
        ("a.jsonl", b'{"id": "x"}', 'line 1: "text" is missing'),
        ("a.jsonl", b'{"text": "x", "id": []}', 'line 1: "id" must be a string'),
        ("a.jsonl", b'{"text": "x", "aspects": [{"aspect": "price", "polarity": "good"}]}', "line 1.*polarity"),
        ("a.jsonl", b'{"text": "\xff"}', "not valid UTF-8"),
        ("a.jsonl.gz", b"no gzip", "the gzip file is damaged"),
        ("a.csv", b"id\n1\n", 'line 2: "text" is missing'),
        ("a.csv", b'text\n"unclosed', "never closed"),
    ],
)
def test_bad_files_are_refused_by_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ReviewFileError, match=message):
        read_reviews(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ReviewFileError, match="cannot be read"):
        read_reviews(tmp_path / "none.jsonl")
