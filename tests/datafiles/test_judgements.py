import gzip

import pytest

from datafiles.judgements import SearchQuery, read_judgements, read_queries
from domain.errors import JudgementFileError

QUERIES = (SearchQuery("1", "rambo"), SearchQuery("2", '"quiet" film, or two'))


def test_queries_of_all_kinds_of_file(tmp_path):
    files = {
        "q.tsv": 'query_id\ttext\n1\trambo\n2\t"quiet" film, or two\n',
        "q.csv": 'text,query_id,note\nrambo,1,x\n"""quiet"" film, or two",2,\n',
        "q.jsonl": '{"query_id": 1, "text": "rambo"}\n\n{"query_id": "2", "text": " \\"quiet\\" film, or two"}\n',
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        assert read_queries(tmp_path / name) == QUERIES, name
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
        assert read_queries(tmp_path / f"{name}.gz") == QUERIES, name


def test_judgements_by_query_and_item(tmp_path):
    path = tmp_path / "j.tsv"
    path.write_text("query_id\titem_id\tgrade\n1\ta\t4\n1\tb\t0\n2\ta\t1.0\n")
    assert read_judgements(path) == {"1": {"a": 4, "b": 0}, "2": {"a": 1}}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.tsv", "query_id\ttext\n1\trambo\n1\trocky\n", 'line 3: query "1" stands there twice'),
        ("q.tsv", "query_id\ttext\n1\t \n", 'line 2: "text" is missing or blank'),
        ("q.tsv", "query_id\ttext\n", "no queries"),
        ("q.tsv", "id\ttext\n1\trambo\n", "query_id is missing"),
        ("q.jsonl", '{"text": "rambo"}\n', 'line 1: "query_id" is missing'),
        ("q.txt", "rambo\n", "unknown kind of file"),
        ("q.tsv", "query_id\ttext\n1\trambo\tmore\n", "line 2: 3 columns"),
    ],
)
def test_bad_queries_are_refused_with_their_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(JudgementFileError, match=message):
        read_queries(tmp_path / name)


@pytest.mark.parametrize("grade", ["", "good", "-1", "11", "2.5", "nan", "inf"])
def test_bad_grades_are_refused_with_their_line(tmp_path, grade):
    path = tmp_path / "j.tsv"
    path.write_text(f"query_id\titem_id\tgrade\n1\ta\t{grade}\n")
    with pytest.raises(JudgementFileError, match='line 2: "grade" must be a whole number from 0 to 10'):
        read_judgements(path)


def test_an_item_twice_for_one_query_is_refused(tmp_path):
    path = tmp_path / "j.tsv"
    path.write_text("query_id\titem_id\tgrade\n1\ta\t4\n2\ta\t4\n1\ta\t3\n")
    with pytest.raises(JudgementFileError, match='line 4: query "1" has item "a" twice'):
        read_judgements(path)
