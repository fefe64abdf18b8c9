"""The clients in C++, Go, Java, Node.js and Ruby, run as a person would run them, against gateways of every behaviour.

They are built by `make clients`, but for Ruby's, which takes no time. One that is not built from the files as they are,
or whose tools are not installed, is skipped with the reason.
"""

import subprocess

import grpc
import pytest

from shortlist import AnyOf, Client, Event, EventKind
from shortlist.v1 import event_pb2, recommender_pb2
from tests.support.fakes import FakeGateway, Refusal
from tests.support.running import RunningGateway
from tools.build_clients import BUILDS, ClientBuild

pytestmark = pytest.mark.xdist_group("gateway")
SLOW = ("--deadline-ms", "20000")


class BuiltClient:
    """A client in another language; `run` works against any gateway."""

    def __init__(self, build: ClientBuild):
        self._build = build

    def run(self, *words, stdin="", timeout_s=60):
        folder = self._build.out.parents[2] / "clients" / self._build.language
        return subprocess.run(
            [*self._build.run_command(), *words],
            cwd=folder,
            env=self._build.variables(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def rows(self, *words, **how):
        done = self.run(*words, **how)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]


PROGRAMS = [build for build in BUILDS if build.command]


@pytest.fixture(params=PROGRAMS, ids=[build.language for build in PROGRAMS])
def other(request) -> BuiltClient:
    build = request.param
    missing = build.missing()
    if missing:
        pytest.skip(f"{build.language}: {', '.join(missing)} not installed (make setup-system)")
    if build.language == "ruby":
        build.build()
    elif not build.built():
        pytest.skip(f"{build.language}: not built (make clients)")
    return BuiltClient(build)


@pytest.fixture
def fake():
    with FakeGateway() as gateway:
        yield gateway


def test_history_and_conditions_are_sent_and_items_come_back(other, fake):
    flags = ("--text", "a heist", "--event", "buy:b-7", "--event", "view:b-8", "--where", "category=films,series")
    rows = other.rows("recommend", "--address", fake.address, *flags, "--k", "2", *SLOW)
    assert rows == [["1", "item-1", "Title 1"], ["2", "item-2", "Title 2"]]
    assert fake.requests == [
        recommender_pb2.RecommendRequest(
            text="a heist",
            k=2,
            events=[
                {"item_id": "b-7", "kind": event_pb2.EVENT_KIND_BUY},
                {"item_id": "b-8", "kind": event_pb2.EVENT_KIND_VIEW},
            ],
            conditions=[{"attribute": "category", "any_of": {"values": ["films", "series"]}}],
            item_mask={"paths": ["title"]},
        )
    ]


def test_a_refusal_is_told_with_its_reason_and_fields_and_not_repeated(other, fake):
    violations = {"k": "must lie between 1 and 1,000, found 0"}
    fake.plan = [Refusal(grpc.StatusCode.INVALID_ARGUMENT, "bad k", "ERROR_REASON_INVALID_FIELD", violations)]
    done = other.run("recommend", "--address", fake.address, "--text", "x", "--k", "0", *SLOW)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "INVALID_ARGUMENT (ERROR_REASON_INVALID_FIELD): bad k",
        "  k: must lie between 1 and 1,000, found 0",
    ]
    assert len(fake.requests) == 1


def test_a_call_that_found_nobody_ready_is_repeated_once(other, fake):
    away = Refusal(grpc.StatusCode.UNAVAILABLE, "stopping", "ERROR_REASON_NO_RELEASE")
    fake.plan = [away]
    assert len(other.rows("recommend", "--address", fake.address, "--text", "x", "--k", "1", *SLOW)) == 1
    assert len(fake.requests) == 2
    fake.plan = [away, away]
    done = other.run("recommend", "--address", fake.address, "--text", "x", *SLOW)
    assert done.returncode == 1
    assert done.stderr.startswith("UNAVAILABLE")
    assert len(fake.requests) == 4


def test_a_refusal_without_details_is_told(other, fake):
    fake.plan = [Refusal(grpc.StatusCode.INTERNAL, "oh")]
    done = other.run("recommend", "--address", fake.address, "--text", "x", *SLOW)
    assert (done.returncode, done.stderr) == (1, "INTERNAL: oh\n")


def test_nobody_there_is_an_error(other):
    done = other.run("recommend", "--address", "127.0.0.1:1", "--text", "x")
    assert done.returncode == 1
    assert done.stderr.startswith(("UNAVAILABLE: ", "DEADLINE_EXCEEDED: "))


def test_the_deadline_holds(other, fake):
    fake.slow = True
    done = other.run("recommend", "--address", fake.address, "--text", "x", "--deadline-ms", "400")
    assert done.returncode == 1
    assert done.stderr.startswith("DEADLINE_EXCEEDED")


def test_health(other, fake):
    assert other.rows("health", "--address", fake.address, *SLOW) == [["SERVING"]]


def test_a_stream_of_more_than_a_batch_holds(other, fake):
    lines = [*(f"t{number}" for number in range(300)), "refuse"]
    rows = other.rows("stream", "--address", fake.address, "--k", "1", stdin="".join(f"{x}\n" for x in lines))
    assert rows[:300] == [[str(number), "item-1"] for number in range(300)]
    assert rows[300] == ["300", "ERROR_REASON_INVALID_FIELD", "k: must be 1 to 1,000"]
    assert [one.request.text for one in fake.requests] == lines


def test_two_gateways_share_the_load(other, fake):
    with FakeGateway() as second:
        words = ("recommend", "--address", f"{fake.address},{second.address}", "--text", "x", "--k", "1", *SLOW)
        for _ in range(10):
            other.rows(*words, "--times", "20")
            if fake.requests and second.requests:
                break
        assert fake.requests and second.requests
        fake.stop()
        assert len(other.rows(*words, "--times", "4")) == 4
    fake.start()


def test_tls(other, certificate):
    pair = (certificate.key.read_bytes(), certificate.certificate.read_bytes())
    served = FakeGateway().start(credentials=grpc.ssl_server_credentials([pair]))
    try:
        address = served.address.replace("127.0.0.1", "localhost")
        words = ("recommend", "--address", address, "--text", "x", "--k", "1")
        done = other.run(*words, "--ca", str(certificate.certificate), *SLOW)
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 1), done.stderr
        assert other.run(*words, "--deadline-ms", "3000").returncode == 1
    finally:
        served.stop()


@pytest.mark.parametrize("words", [(), ("guess", "--address", "a:1"), ("recommend",)])
def test_wrong_arguments_end_with_the_usage(other, words):
    done = other.run(*words)
    assert done.returncode == 2
    assert "usage: client" in done.stderr


@pytest.mark.triton
def test_the_real_gateway_answers_as_it_does_to_python(other, gateway: RunningGateway):
    with Client(gateway.address, deadline_s=10) as client:
        for text in ("a quiet film about the sea", "strong coffee in the morning"):
            rows = other.rows("recommend", "--address", gateway.address, "--text", text, "--k", "3", *SLOW)
            assert [row[1] for row in rows] == [item.id for item in client.recommend(text, k=3).items]
        texts = [f"green tea {number}" for number in range(40)]
        rows = other.rows("stream", "--address", gateway.address, "--k", "1", stdin="".join(f"{x}\n" for x in texts))
        assert [row[1] for row in rows] == [client.recommend(text, k=1).items[0].id for text in texts]
    done = other.run("recommend", "--address", gateway.address, "--text", "tea", "--k", "0", *SLOW)
    assert "ERROR_REASON_INVALID_FIELD" in done.stderr
    assert "  k: must lie between 1 and 1,000, found 0" in done.stderr
    assert other.rows("health", "--address", gateway.address, *SLOW) == [["SERVING"]]


@pytest.mark.triton
def test_the_real_gateway_takes_history_conditions_and_deadlines(other, gateway: RunningGateway):
    liked, wanted = "goods-coffee-hazelnut", "goods"
    flags = ("--event", f"buy:{liked}", "--where", f"category={wanted}", "--k", "5")
    rows = other.rows("recommend", "--address", gateway.address, *flags, *SLOW)
    with Client(gateway.address, deadline_s=10) as client:
        expected = client.recommend(
            events=[Event(liked, EventKind.BUY)], conditions=[AnyOf("category", [wanted])], k=5
        ).items
    assert [row[1] for row in rows] == [item.id for item in expected]
    assert len(rows) == 5
    done = other.run("recommend", "--address", gateway.address, "--text", "tea", "--deadline-ms", "1")
    assert done.stderr.startswith(("DEADLINE_EXCEEDED", "UNAVAILABLE"))  # before a connection there is nobody


@pytest.mark.triton
def test_the_real_gateway_answers_over_tls(other, tls_gateway: RunningGateway, certificate):
    words = ("recommend", "--address", tls_gateway.address.replace("127.0.0.1", "localhost"), "--text", "tea")
    assert len(other.rows(*words, "--k", "2", "--ca", str(certificate.certificate), *SLOW)) == 2
    assert other.run(*words, "--deadline-ms", "3000").returncode == 1
