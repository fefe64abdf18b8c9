"""The playground in a real headless Chromium, in front of the real gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import CHROMIUM, MISSING, Browser
from tests.support.running import RunningGateway

pytestmark = [
    pytest.mark.triton,
    pytest.mark.xdist_group("gateway"),
    pytest.mark.skipif(CHROMIUM is None, reason=MISSING),
]

FIRST = "article[data-side=a] .items > li"
SECOND = "article[data-side=b] .items > li"


@pytest.fixture
def page(gateway: RunningGateway, tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path) as browser:
        browser.open(gateway.playground)
        browser.until(f"document.querySelectorAll('{FIRST}').length === 12")
        yield browser
        assert browser.console == []


def ids(page: Browser, items: str = FIRST) -> list[str]:
    found: list[str] = page.value(f"[...document.querySelectorAll('{items}')].map((one) => one.dataset.id)")
    return found


def after(page: Browser, act: str) -> None:
    """Waits for the answer that follows an act of the page."""
    page.until(f"Number(document.body.dataset.answers) > {int(act)} && !document.querySelector('.busy')")


def answers(page: Browser) -> str:
    return str(page.value("document.body.dataset.answers"))


def test_a_wish_clicks_and_sliders_move_the_list(page: Browser) -> None:
    cold = ids(page)
    before = answers(page)
    page.type("#text", "a quiet film about the sea, not horror")
    after(page, before)
    wished = ids(page)
    assert wished != cold
    assert "film-salt-ledger" in wished[:3]
    chips = page.value("[...document.querySelectorAll('#understood .chip')].map((one) => one.textContent)")
    assert any("horror" in chip for chip in chips)
    assert page.value("document.querySelectorAll('.waterfall .bar').length") >= 8
    assert page.value("document.querySelectorAll('.badge').length") > 12
    assert page.value("document.querySelector('.why').textContent").endswith(".")

    before = answers(page)
    page.click(f"{FIRST}:nth-child(5) .acts button:nth-child(2)")
    after(page, before)
    liked = wished[4]
    assert liked not in ids(page)
    assert page.value("document.querySelector('#events .chip').textContent").startswith("like: ")
    assert page.value("document.querySelectorAll('.rank .up, .rank .down, .rank .new').length") > 0

    before = answers(page)
    page.set("fieldset[data-side=a] [data-field=diversity]", 1)
    after(page, before)
    varied = ids(page)
    assert page.value("document.querySelectorAll('.badge.rule').length") > 0

    page.click("#both")
    page.until(f"document.querySelectorAll('{SECOND}').length === 12 && !document.querySelector('.busy')")
    assert ids(page) == varied != ids(page, SECOND)

    before = answers(page)
    page.click("#events .chip button")
    after(page, before)
    page.until("!document.querySelector('.busy')")
    assert ids(page, SECOND) == wished


def test_the_index_is_compared_on_its_own_tab(page: Browser) -> None:
    page.click("#tab-index")
    page.type("#index-text", "strong coffee")
    page.click("#index-form button")
    page.until("document.body.dataset.compared")
    assert page.value("document.querySelector('#index-figures').textContent").startswith("recall@20 1.000")
    assert page.value("document.querySelectorAll('#index-exact li').length") == 20


def test_markup_stays_text_and_an_error_is_shown(page: Browser) -> None:
    before = answers(page)
    page.type("#text", '<img src=x onerror="document.body.dataset.hacked=1"><b>tea</b>')
    after(page, before)
    assert page.value("document.querySelectorAll('main img, main b').length") == 0
    assert page.value("document.body.dataset.hacked ?? ''") == ""
    before = answers(page)
    page.set("fieldset[data-side=a] [data-field=k]", 0)
    after(page, before)
    assert "whole number" in page.value("document.querySelector('.notes').textContent")
    # The browser's own words for a refused call.
    page.console = [line for line in page.console if "400" not in line]
