import io
import re
from dataclasses import replace

from rich.console import Console

from training.evaluation.search.html import page, write_page
from training.evaluation.search.report import PreviousRun
from training.evaluation.search.terminal import terminal_report


def test_the_page_needs_no_other_file_and_shows_the_worst_lists(report, tmp_path):
    path = tmp_path / "report.html"
    write_page(report, path)
    text = path.read_text()
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    assert re.findall(r'src="(?!data:)', text) == [] and "<script" not in text and "<link" not in text
    for words in ("quiet &amp; sea", "Title &lt;a&gt;", "r&lt;1&gt;", "A &lt;note&gt;.", "Searched as aloud.", ".50"):
        assert words in text
    assert "Title <a>" not in text and "nan" not in re.sub(r'src="[^"]+"', "", text)
    headings = re.findall(r"<h3>([^<]+)<", text)
    assert headings == ["quiet &amp; sea", "none", "loud"]


def test_relevant_items_are_marked_and_the_missing_named(report):
    text = page(report)
    assert re.findall(r'class="words hit">Title &lt;(\w)&gt;', text) == ["a", "a"]  # of q1, in both methods
    assert "z (grade 3) not in the list" in text
    assert "b (grade 4) not in the list" in text
    assert "No item is judged relevant." in text  # of q3
    assert "All relevant items are among the first ten." in page(replace(report, relevant_grade=1))


def test_relevance_has_a_column_where_the_service_says_it(report):
    assert "relevance" not in page(report)
    method = report.methods[0]
    items = tuple(replace(item, relevance=0.25) for item in method.lists[0].items)
    shown = replace(method, lists=(replace(method.lists[0], items=items), *method.lists[1:]))
    text = page(replace(report, methods=(shown,), reference=None))
    assert "<th>relevance</th>" in text and "<td>.250</td>" in text


def test_lists_that_were_searched_alike_say_so_once(report):
    assert page(report).count("Searched as aloud.") == 1


def test_a_refused_query_says_why(report):
    method = report.methods[0]
    lists = (replace(method.lists[0], items=(), refusal="text: too long"), *method.lists[1:])
    assert "Refused: text: too long" in page(replace(report, methods=(replace(method, lists=lists),), reference=None))


def test_the_terminal_shows_metrics_changes_and_the_worst(report):
    before = {"with history": {query.id: {"ndcg@10": 0.1} for query in report.queries}}
    stream = io.StringIO()
    shown = replace(report, previous=PreviousRun("before.json", before))
    Console(file=stream, width=160).print(terminal_report(shown))
    text = stream.getvalue()
    for words in (
        ".300 [",
        ".50 [.50, .50]",
        "change since before.json",
        ".200 [",
        "quiet & sea",
        "grade >= 3",
        "A <note>.",
    ):
        assert words in text, words
