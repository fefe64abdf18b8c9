"""`shortlist recommend` against a gateway that answers what it is told."""

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from shortlist.v1 import recommender_pb2 as pb
from tests.conftest import Certificate
from tests.support.fakes import FakeGateway, Refusal
from tests.support.running import on_terminal, shortlist


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
        ("available,price", {"id", "available", "attributes"}),
        ("*", {"id", "title", "text", "available", "attributes"}),
    ],
)
def test_json_has_the_details_that_were_asked_for(fake: FakeGateway, fields: str, names: set[str]) -> None:
    fake.reply = None  # it answers what it is asked for
    done = shortlist("recommend", "--text", "tea", "--k", "1", "--json", "--fields", fields, "--address", fake.address)
    assert done.returncode == 0, done.stderr
    (item,) = json.loads(done.stdout)["items"]
    assert set(item["item"]) == names
    scores = {"score", "similarity", "match_probability", "relevance", "choice_probability"}
    assert {"id", "rank", "provenance", "explanation", "item", "arranged_by", "ranked_place"} | scores <= set(item)


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
    # The useful sentence first, the code behind it.
    assert "\n[/i] matched by [words] [DEGRADATION_REASON_ENCODER_UNAVAILABLE]\n" in done.stderr
    for text in ("[x]", "[/b] [red]A", "[/i] matched by [words]", "not in the catalogue: [/b], [y]", "release [r]"):
        assert text in done.stdout + done.stderr
    text, _ = on_terminal("recommend", "--text", "tea", "--address", fake.address)
    for part in ("[x]", "[/b] [red]A", "[/i] matched by [words]", "not in the catalogue: [/b], [y]", "release [r]"):
        assert part in text


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
    said = " ".join((done.stdout + done.stderr).split())
    assert "searched for: tom hanks" in said
    assert "year from 1994 to 1994 (from 1994); price, smallest first (cheapest); not caffeine" in said
    assert "relevance 50.0%" in said
    assert "more: --page t" in said
    assert fake.requests[-1].text == "tom hnaks"
    plain = " ".join(on_terminal("recommend", "tom", "hnaks", "--address", fake.address)[0].split())
    assert "rank score relevance source id" in plain
    assert "more: --page t" in plain
    assert "relevance 50.0%" not in plain


def test_a_text_is_given_once(fake: FakeGateway) -> None:
    done = shortlist("recommend", "tea", "--text", "tea", "--address", fake.address)
    assert done.returncode != 0
    assert "give the text once" in done.stderr


def test_a_refusal_names_flags_and_the_own_fields_of_items(fake: FakeGateway) -> None:
    fake.plan = [
        Refusal(
            grpc.StatusCode.INVALID_ARGUMENT,
            violations={
                "item_attributes[1]": 'no item has an attribute "titel"; did you mean "title_zh"?',
                "item_attributes[2]": 'no item has an attribute "categorie"; did you mean "category"?',
                "conditions[1].attribute": 'no item has an attribute "colour"',
                "k": "at most 5",
            },
        )
    ]
    words = ("--fields", "price,titel,categorie", "--where", "price<20", "--where", "colour=red")
    done = shortlist("recommend", "tea", *words, "--address", fake.address)
    assert done.returncode == 1
    assert 'shortlist: --fields titel: no item has an attribute "titel"; did you mean "title"?; ' in done.stderr
    assert '--fields categorie: no item has an attribute "categorie"; did you mean "category"?' in done.stderr
    assert '--where colour=red: no item has an attribute "colour"; ' in done.stderr
    assert "; k: at most 5 [INVALID_ARGUMENT, " in done.stderr


def test_the_rules_of_an_arrangement_reach_the_gateway_and_its_answer_the_reader(fake: FakeGateway) -> None:
    fake.reply = pb.RecommendResponse(
        items=[{"id": "a", "item": {"title": "A"}, "arranged_by": ["ARRANGEMENT_RULE_PIN"], "ranked_place": 7}],
        unplaced_item_ids=["gone"],
        seed=11,
    )
    flags = "--diversity .5 --cap author=2 --cap category=2/5 --pin a@3 --boost genre=jazz@.3 --boost b@-1"
    more = "--new-share .2 --new-days 30 --explore .1 --seed 7 --novelty .4"
    done = shortlist("recommend", "--text", "tea", *flags.split(), *more.split(), "--address", fake.address)
    assert done.returncode == 0, done.stderr
    rules = fake.requests[-1].arrangement
    assert [(cap.attribute, cap.most, cap.within) for cap in rules.caps] == [("author", 2, 0), ("category", 2, 5)]
    assert [(pin.item_id, pin.place) for pin in rules.pins] == [("a", 3)]
    assert [boost.WhichOneof("target") for boost in rules.boosts] == ["condition", "items"]
    assert [boost.strength for boost in rules.boosts] == [0.3, -1.0]
    assert (rules.diversity, rules.new_share, rules.exploration, rules.novelty) == (0.5, 0.2, 0.1, 0.4)
    assert (rules.seed, rules.new_within.seconds) == (7, 30 * 86_400)
    assert "pin, was 7" in done.stdout
    assert "may not be recommended: gone" in done.stderr
    assert "--seed 11" in done.stderr


@pytest.mark.parametrize("words", [("--cap", "author"), ("--pin", "a"), ("--boost", "genre=jazz"), ("--boost", "a@x")])
def test_a_rule_that_is_not_one_is_refused(fake: FakeGateway, words: tuple[str, str]) -> None:
    done = shortlist("recommend", "--text", "tea", *words, "--address", fake.address)
    assert done.returncode
    assert f'{words[0]} "{words[1]}" is not a' in done.stderr


def test_near_is_a_condition_beside_the_others(fake: FakeGateway) -> None:
    words = ("--where", "price<20", "--near", "-33.87,151.21,5", "--near-attributes", "y,x")
    done = shortlist("recommend", "--text", "tea", *words, "--address", fake.address)
    assert done.returncode == 0, done.stderr
    price, near = fake.requests[-1].conditions
    assert (price.attribute, near.attribute, near.geo_radius.longitude_attribute) == ("price", "y", "x")
    circle = near.geo_radius
    assert (circle.latitude, circle.longitude, circle.radius_km) == (-33.87, 151.21, 5.0)


def test_near_finds_the_usual_names_and_else_says_how_to_name_them(fake: FakeGateway) -> None:
    unknown = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT, violations={"conditions[0].attribute": 'no item has an attribute "lat"'}
    )
    fake.plan = [unknown]
    done = shortlist("recommend", "--text", "tea", "--near", "52.5,13.4,5", "--address", fake.address)
    assert done.returncode == 0, done.stderr
    tried = [(one.attribute, one.geo_radius.longitude_attribute) for (one,) in (r.conditions for r in fake.requests)]
    assert tried == [("lat", "lon"), ("latitude", "longitude")]
    fake.plan = [unknown, unknown]
    done = shortlist("recommend", "--text", "tea", "--near", "52.5,13.4,5", "--address", fake.address)
    assert done.returncode == 1
    assert "no numbers lat and lon or latitude and longitude in the catalogue" in done.stderr
    done = shortlist("recommend", "--text", "tea", "--near-attributes", "a,b", "--address", fake.address)
    assert (done.returncode, "needs --near" in done.stderr) == (1, True)
