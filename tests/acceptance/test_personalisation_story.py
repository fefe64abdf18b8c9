"""The story of docs/personalisation.md, line by line, from the first event to the erasure."""

import re
import shlex

import pyarrow.parquet as pq
import pytest

from cli.main import main
from tests.support.running import ROOT

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]


def lines():
    text = (ROOT / "docs/personalisation.md").read_text("utf-8").split("\n## A story\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^    \.venv/bin/shortlist (.*)$", text, re.MULTILINE)


def test_the_story(gateway, tmp_path, capsys):
    state, out = str(gateway.output.parent / "state"), str(tmp_path / "events.parquet")
    said = []
    for line in lines():
        words = [{"var": state, "var/events.parquet": out}.get(word, word) for word in shlex.split(line)]
        own = words[0] == "report" or words[:2] == ["events", "export"]
        assert main([*words, *([] if own else ["--address", gateway.address])]) == 0, line
        said.append((words, capsys.readouterr().out))
    lists = [text for words, text in said if words[0] == "recommend"]
    titles = [re.findall(r"^ *\d+\s.*", text, re.MULTILINE) for text in lists]
    assert titles[0] != titles[1]
    assert "coffee" in lists[1].lower()
    assert titles[-1] == titles[0]
    (shown,) = [text for words, text in said if words[:2] == ["events", "show"]]
    assert "[phone]" in shown
    assert "13812345678" not in shown
    assert "goods-tea-jasmine-green" in shown
    assert "ann" not in {row["user_id"] for row in pq.read_table(out).to_pylist()}
    assert said[-2][1] == "forgotten\n"
