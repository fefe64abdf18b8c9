"""`shortlist recommend` against a gateway that answers what it is told."""

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from shortlist.v1 import recommender_pb2 as pb
from tests.conftest import Certificate
from tests.support.fakes import FakeGateway
from tests.support.running import shortlist


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        fake.reply = pb.RecommendResponse(items=[{"id": "a", "item": {"id": "a", "title": "A"}}])
        yield fake


@pytest.fixture
def demanding(certificate: Certificate) -> Iterator[FakeGateway]:
    """A gateway that asks its callers for a certificate."""
    pair = (certificate.key.read_bytes(), certificate.certificate.read_bytes())
    fake = FakeGateway().start(
        credentials=grpc.ssl_server_credentials([pair], certificate.certificate.read_bytes(), require_client_auth=True)
    )
    yield fake
    fake.stop()


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ("title", {"id", "title"}),
        ("available,attributes.price", {"id", "available", "attributes"}),
        ("*", {"id", "title", "text", "available", "attributes"}),
    ],
)
def test_json_has_the_details_that_were_asked_for(fake: FakeGateway, fields: str, names: set[str]) -> None:
    done = shortlist("recommend", "--text", "tea", "--json", "--fields", fields, "--address", fake.address)
    assert done.returncode == 0, done.stderr
    (item,) = json.loads(done.stdout)["items"]
    assert set(item["item"]) == names
    scores = {"score", "similarity", "match_probability", "relevance", "choice_probability"}
    assert {"id", "rank", "provenance", "explanation", "item"} | scores == set(item)


def test_a_gateway_that_asks_for_a_certificate(demanding: FakeGateway, certificate: Certificate) -> None:
    where = ("--address", demanding.address.replace("127.0.0.1", "localhost"), "--deadline", "5")
    ca = ("--tls-ca", str(certificate.certificate))
    own = ("--tls-certificate", str(certificate.certificate), "--tls-key", str(certificate.key))
    done = shortlist("recommend", "--text", "tea", "--k", "2", *where, *ca, *own)
    assert done.returncode == 0, done.stderr
    assert "Title 2" in done.stdout
    assert shortlist("recommend", "--text", "tea", *where, *ca).returncode == 1


@pytest.mark.parametrize("flag", ["--tls-certificate", "--tls-key"])
def test_certificate_and_key_go_together(flag: str) -> None:
    done = shortlist("recommend", "--text", "tea", flag, "client.pem")
    assert (done.returncode, "give both or neither" in done.stderr) == (1, True)


@pytest.mark.parametrize("missing", ["--tls-ca", "--tls-certificate", "--tls-key"])
def test_a_missing_tls_file_is_named_with_its_flag(missing: str, certificate: Certificate, tmp_path: Path) -> None:
    files = {"--tls-certificate": str(certificate.certificate), "--tls-key": str(certificate.key)}
    files[missing] = str(tmp_path / "nowhere.pem")
    done = shortlist("recommend", "--text", "tea", *[word for pair in files.items() for word in pair])
    assert done.returncode == 1
    assert f"{missing} {files[missing]}: No such file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--k", "99999999999"), "99999999999"),
        (("--deadline", "0"), "deadline"),
        (("--deadline", "-1"), "deadline"),
        (("--deadline", "nan"), "deadline"),
        (("--text", "caf\udce9"), "'caf\\udce9' is not valid UTF-8"),
    ],
)
def test_a_value_that_no_message_can_hold_is_refused(flags: tuple[str, ...], says: str) -> None:
    done = shortlist("recommend", "--text", "tea", *flags, "--address", "127.0.0.1:9")
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_other_peoples_brackets_are_no_markup(fake: FakeGateway) -> None:
    fake.reply = pb.RecommendResponse(
        items=[{"id": "[x]", "item": {"id": "[x]", "title": "[/b] [red]A"}}],
        degradations=[{"reason": pb.DEGRADATION_REASON_ENCODER_UNAVAILABLE, "detail": "[/i] matched by [words]"}],
        unknown_item_ids=["[/b]", "[y]"],
        release_id="[r]",
    )
    done = shortlist("recommend", "--text", "tea", "--address", fake.address)
    assert done.returncode == 0, done.stderr
    for text in ("[x]", "[/b] [red]A", "[/i] matched by [words]", "not in the catalogue: [/b], [y]", "release [r]"):
        assert text in done.stdout


def test_what_was_understood_is_printed(fake: FakeGateway) -> None:
    fake.reply = pb.RecommendResponse(
        items=[{"id": "a", "rank": 1, "score": 1.0, "relevance": 0.5}],
        corrected_text="tom hanks",
        next_page_token="t",
        interpretation={
            "conditions": [
                {"condition": {"attribute": "year", "range": {"min": 1994, "max": 1994}}, "phrase": "from 1994"}
            ],
            "orders": [{"attribute": "price", "descending": False, "phrase": "cheapest"}],
            "excluded_terms": ["caffeine"],
        },
    )
    done = shortlist("recommend", "tom", "hnaks", "--watch-fusion", "--address", fake.address)
    said = " ".join(done.stdout.split())
    assert "searched for: tom hanks" in said
    assert "year from 1994 to 1994 (from 1994); price, smallest first (cheapest); not caffeine" in said
    assert "relevance 50.0%" in said
    assert "more: --page t" in said
    assert fake.requests[-1].text == "tom hnaks"
    plain = " ".join(shortlist("recommend", "tom", "hnaks", "--address", fake.address).stdout.split())
    assert "rank title similarity relevance source id" in plain
    assert "more: --page t" in plain
    assert "relevance 50.0%" not in plain


def test_a_text_is_given_once(fake: FakeGateway) -> None:
    done = shortlist("recommend", "tea", "--text", "tea", "--address", fake.address)
    assert done.returncode != 0
    assert "give the text once" in done.stderr
