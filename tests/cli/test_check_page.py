"""`shortlist check --html`: one page with all that is said of the files."""

from html.parser import HTMLParser

import pytest

from cli.main import main

HOSTILE = '<script>alert("1")</script>'


class Page(HTMLParser):
    """Texts by tag, and every tag that occurs."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.tags, self._open = {}, set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)


@pytest.fixture
def check(tmp_path):
    def call(items, interactions=None):
        (tmp_path / "items.csv").write_text(items)
        words = ["check", "--items", str(tmp_path / "items.csv"), "--html", str(tmp_path / "page.html")]
        if interactions is not None:
            (tmp_path / "interactions.csv").write_text(interactions)
            words += ["--interactions", str(tmp_path / "interactions.csv")]
        return main(words), Page((tmp_path / "page.html").read_text(encoding="utf-8"))

    return call


def test_it_has_columns_counts_and_what_to_look_at(check):
    items = f'id,title,net price,"{HOSTILE.replace(chr(34), chr(34) * 2)}"\n7,Tea,12,x\n8,Mug,13,\n9,Cup,ask us,\n'
    status, page = check(items, "user_id,item_id\nu1,7\nu2,8\nu2,99\n")
    assert status == 0
    assert {"file", "items", "texts", "interactions", "unknown items"} <= set(page.texts["dt"])
    assert "3, of which 3 available" in page.texts["dd"]
    assert {"net price", "string", HOSTILE} <= set(page.texts["td"])
    assert "script" not in page.tags and {"img", "link"}.isdisjoint(page.tags)  # it needs no other file
    assert page.texts["b"] == ["line 4"]
    assert page.texts["code"] == ['--missing "ask us"', "--column 'net price:string'"]
    assert page.texts["p"][0].startswith("The files can be used. ")


def test_a_refused_file_has_a_page_too(check):
    status, page = check("id,title\n7,Tea\n7,Mug\n")
    assert status == 1
    assert page.texts["p"][0] == "1 to correct before the files can be used. There is nothing to look at."
    assert page.texts["b"] == ["line 3", "line 2"]
    # What was read before stands on it.
    status, page = check("id,title\n7,Tea\n", "user_id\nu1\n")
    assert status == 1 and "1, of which 1 available" in page.texts["dd"]
    assert any('the column "item_id" is missing' in text for text in page.texts["p"])


def test_a_page_that_cannot_be_written_is_told(tmp_path, capsys):
    items, nowhere = tmp_path / "items.csv", tmp_path / "none" / "page.html"
    items.write_text("id,title\na,b\n")
    assert main(["check", "--items", str(items), "--html", str(nowhere)]) == 1
    assert "--html" in (said := capsys.readouterr().err) and "could not be written" in said
    items.write_text("id\na\n")
    assert main(["check", "--items", str(items), "--html", str(nowhere)]) == 1
    assert "could not be written" not in capsys.readouterr().err  # the refusal is what counts
