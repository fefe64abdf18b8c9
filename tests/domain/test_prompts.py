import json

import pytest

from domain.errors import EncoderNotUsable
from domain.prompts import Prompts, read_prompts


def written(folder, content):
    (folder / "config_sentence_transformers.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_folder_without_the_file_has_none(tmp_path):
    assert read_prompts(tmp_path) == Prompts("", "")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, ("", "")),
        ({"prompts": None}, ("", "")),
        ({"prompts": {"query": "query: ", "passage": "passage: "}}, ("query: ", "passage: ")),
        # What sentence-transformers writes beside a model's own names.
        ({"prompts": {"query": "q ", "document": "", "passage": "p "}}, ("q ", "p ")),
        ({"prompts": {"document": "d ", "passage": "p "}}, ("", "d ")),
        ({"prompts": {"corpus": "c "}}, ("", "c ")),
        ({"prompts": {"query": None, "classification": "Classify: "}}, ("", "")),
        ({"prompts": {"sts": "s "}, "default_prompt_name": "sts"}, ("s ", "s ")),
        ({"prompts": {"query": "q "}, "default_prompt_name": "query"}, ("q ", "")),
        ({"prompts": {"query": "q "}, "default_prompt_name": "gone"}, ("q ", "")),
    ],
)
def test_prompts_by_the_names_they_go_by(tmp_path, content, expected):
    assert read_prompts(written(tmp_path, content)) == Prompts(*expected)


@pytest.mark.parametrize("content", [[], {"prompts": ["query: "]}, {"prompts": {"query": 3}}])
def test_prompts_of_another_form_are_refused(tmp_path, content):
    with pytest.raises(EncoderNotUsable, match=r"config_sentence_transformers\.json must hold an object"):
        read_prompts(written(tmp_path, content))


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "config_sentence_transformers.json").write_text("{")
    with pytest.raises(EncoderNotUsable, match=r"config_sentence_transformers\.json can't be read"):
        read_prompts(tmp_path)


@pytest.mark.parametrize("prompt", ["x" * 1001, "nul\0"])
def test_a_prompt_that_no_text_can_begin_with_is_refused(prompt):
    with pytest.raises(EncoderNotUsable, match="the query prompt has"):
        Prompts(query=prompt)
    with pytest.raises(EncoderNotUsable, match="the passage prompt has"):
        Prompts(passage=prompt)
