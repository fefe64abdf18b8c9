import pytest

from core.text.encoder_card import read_languages, write_languages


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        ("language: en", ("en",)),
        ("language: zh-CN", ("zh",)),
        ("language:\n- en\n- fr", ("en", "fr")),
        ("language: [en, no]", ("en", "no")),
        ("language: multilingual", ()),
        ("language:\n- multilingual\n- en", ()),
        ("language: 7", ()),
        ("language: [1, 2]", ()),
        ("license: apache-2.0", ()),
        ("language: [en", ()),
        ("- en", ()),
    ],
)
def test_the_card_says_the_languages(tmp_path, front, expected):
    (tmp_path / "README.md").write_text(f"---\n{front}\n---\n# A model\nlanguage: de\n")
    assert read_languages(tmp_path) == expected


@pytest.mark.parametrize("text", [None, "", "# A model without front matter\n", b"\xff\xfe"])
def test_without_a_usable_card_they_are_unknown(tmp_path, text):
    if text is not None:
        (tmp_path / "README.md").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert read_languages(tmp_path) == ()


def test_what_is_written_is_read_again_and_the_rest_of_the_card_stays(tmp_path):
    write_languages(tmp_path, ())
    assert not list(tmp_path.iterdir())
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    write_languages(tmp_path, ("en", "no"))
    assert read_languages(tmp_path) == ("en", "no")
    assert "license: mit" in (tmp_path / "README.md").read_text()
    assert "# A model" in (tmp_path / "README.md").read_text()
