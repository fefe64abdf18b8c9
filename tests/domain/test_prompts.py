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
        ({"prompts": {"retrieval_query": "q ", "retrieval_passage": "p ", "separation": "s "}}, ("q ", "p ")),
        ({"prompts": {"retrieval.query": "q ", "retrieval.passage": "p ", "separation": "s "}}, ("", "")),
        ({"prompts": {"search_query": "q ", "search_document": "p ", "clustering": "c "}}, ("q ", "p ")),
        ({"prompts": {"Retrieval-query": "r ", "query": "q ", "Retrieval-document": "d "}}, ("q ", "d ")),
        ({"prompts": {"web_search_query": "w ", "sts_query": "s "}}, ("w ", "")),
        ({"prompts": {"s2p_query": "w ", "s2s_query": "s "}}, ("w ", "")),
    ],
)
def test_prompts_by_the_names_they_go_by(tmp_path, content, expected):
    assert read_prompts(written(tmp_path, content)) == Prompts(*expected)


def test_what_was_taken_and_what_was_left_is_noted(tmp_path):
    prompts = {"search_query": "q: ", "search_document": "p: ", "separation": "s: "}
    assert read_prompts(written(tmp_path, {"prompts": prompts})).notes == (
        'query prompt "search_query": "q: "',
        'passage prompt "search_document": "p: "',
        'prompts not used: separation ("s: ")',
    )
    (note,) = read_prompts(written(tmp_path, {"prompts": {"sts_query": "s: "}})).notes
    assert note == 'prompts not used: sts_query ("s: "); --query-prompt TEXT and --passage-prompt TEXT use one'


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
