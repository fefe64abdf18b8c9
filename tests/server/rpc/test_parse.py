import math

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from domain.arrangement import Arrangement, Boost, Cap, Pin
from domain.condition import AnyNumber, AnyOf, Condition, Equals, Exists, GeoRadius, Range, TimeRange
from domain.errors import InvalidRequest
from domain.event import Event, EventKind
from domain.interpretation import TextInterpretation
from domain.item import AttributeType
from domain.prompts import TextRole
from domain.recommendation import DEFAULT_PERSONALIZATION, EmbedQuery, ItemMask, Page, RecommendQuery
from domain.user_history import Caller
from domain.vector_format import VectorFormat
from server.rpc.page_token import write_page_token
from server.rpc.parse import parse_batch, parse_recommend
from server.rpc.parse_embed import parse_embed
from server.settings import load_configuration
from server.users.reading import SIGNALS
from shortlist.v1 import embedding_pb2, event_pb2
from shortlist.v1 import recommender_pb2 as pb

LIMITS = load_configuration(None, {}, {}).settings.request_limits()
TYPES = {
    "price": AttributeType.NUMBER,
    "lon": AttributeType.NUMBER,
    "brand": AttributeType.STRING,
    "a.b": AttributeType.STRING,
    "new": AttributeType.BOOLEAN,
    "seen": AttributeType.TIMESTAMP,
}
BUY = event_pb2.EVENT_KIND_BUY


def parse(**fields):
    return parse_recommend(pb.RecommendRequest(**fields), LIMITS, TYPES)


def refused(error=InvalidRequest, **fields):
    """The fields that a request was refused for, with what was said of each."""
    with pytest.raises(error) as refusal:
        parse(**{"text": "tea"} | fields)
    return {violation.field: violation.description for violation in refusal.value.violations}


@pytest.mark.parametrize(
    "text", ["\u200b", "\u200b\u2060 \ufeff", "\u00ad", "\u3164\u115f", "\u2800", "\ufe0f\u0301", "\x01\x7f"]
)
def test_a_text_of_no_width_is_blank(text):
    assert refused(text=text) == {"text": "must not be blank; leave the field out instead"}


@pytest.mark.parametrize("text", ["a", "茶", "👍", "7", "?", "\u200bx", "e\u0301"])
def test_whatever_can_be_seen_is_a_text(text):
    assert parse(text=text).text == text


def test_the_items_of_a_batch_are_counted_together():
    parse_batch(pb.BatchRecommendRequest(requests=[{"k": 100}] * 100), LIMITS)
    parse_batch(pb.BatchRecommendRequest(requests=[{"k": 1_000_000}] * 256), LIMITS)  # each fails on its own
    parse_batch(pb.BatchRecommendRequest(requests=[{}] * 256), LIMITS)
    with pytest.raises(InvalidRequest, match="the entries ask for 10,101 items in all, at most 10,000 a call"):
        parse_batch(pb.BatchRecommendRequest(requests=[{"k": 100}] * 100 + [{"k": 101}]), LIMITS)
    with pytest.raises(InvalidRequest, match="10,020 items"):
        parse_batch(pb.BatchRecommendRequest(requests=[{"candidate_item_ids": list("abcde" * 12)}] * 167), LIMITS)


def event(**fields):
    return {"item_id": "a", "kind": BUY, **fields}


def test_a_text_alone_gets_the_defaults():
    assert parse(text="tea") == RecommendQuery(text="tea", k=10)


def test_everything_given_arrives():
    query = parse(
        user_id="u",
        text="喝茶 😀",
        events=[
            event(time=Timestamp(seconds=5, nanos=500_000_000), comment="good", item_title="Tea"),
            event(item_id="b", kind=event_pb2.EVENT_KIND_DISLIKE),
        ],
        item_ids=["c"],
        history_encoding=pb.HISTORY_ENCODING_TEXT,
        exclude_item_ids=["d", "e"],
        conditions=[
            {"attribute": "brand", "any_of": {"values": ["x", "y"]}, "negate": True},
            {"attribute": "price", "range": {"min": 0.0}},
            {"attribute": "new", "bool_equals": False},
        ],
        k=3,
        explain=True,
        item_mask={"paths": ["title", "id"]},
        item_attributes=["price", "a.b"],
        any_of_groups=[
            {"conditions": [{"attribute": "new", "exists": True}]},
            {
                "conditions": [
                    {"attribute": "price", "number_equals": 3},
                    {"attribute": "price", "any_number": {"values": [1, 3]}},
                ]
            },
        ],
        include_seen=True,
    )
    assert query == RecommendQuery(
        text="喝茶 😀",
        events=(Event("a", EventKind.BUY, 5.5, "good", "Tea"), Event("b", EventKind.DISLIKE)),
        item_ids=("c",),
        tell_history=True,
        exclude_item_ids=("d", "e"),
        conditions=(
            Condition("brand", AnyOf(frozenset({"x", "y"})), negate=True),
            Condition("price", Range(0.0, None)),
            Condition("new", Equals(False)),
        ),
        any_of_groups=(
            (Condition("new", Exists(True)),),
            (Condition("price", AnyNumber(frozenset({3.0}))), Condition("price", AnyNumber(frozenset({1.0, 3.0})))),
        ),
        k=3,
        explain=True,
        item_mask=ItemMask(frozenset({"title"}), frozenset({"price", "a.b"})),
        include_seen=True,
        caller=Caller("u"),
    )


def test_every_kind_of_the_contract_but_unspecified_has_a_domain_kind():
    for name, number in event_pb2.EventKind.items():
        if number and number not in SIGNALS:
            (parsed,) = parse(events=[event(kind=number)]).events
            assert name == f"EVENT_KIND_{parsed.kind.name}"


@pytest.mark.parametrize("k", [0, -1, 1_001, 2**31 - 1, -(2**31)])
def test_k_out_of_range(k):
    assert refused(k=k) == {"k": f"must lie between 1 and 1,000, found {k}"}


@pytest.mark.parametrize("k", [1, 1_000])
def test_k_at_its_ends(k):
    assert parse(text="tea", k=k).k == k


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must not be blank"),
        (" \n\t\u3000", "must not be blank"),
        ("tea\0", "must not hold NUL"),
        ("x" * 8_193, "at most 8,192 bytes of UTF-8, found 8,193"),
        ("茶" * 2_731, "at most 8,192 bytes of UTF-8, found 8,193"),
    ],
)
def test_bad_text(text, words):
    assert words in refused(text=text)["text"]
    if text:
        assert words in refused(events=[event(comment=text)])["events[0].comment"]


def test_text_of_exactly_8_kib_passes():
    assert parse(text="x" * 8_192).text == "x" * 8_192


@pytest.mark.parametrize(
    ("field", "most"), [("exclude_item_ids", 10_000), ("item_ids", 1_000), ("events", 1_000), ("conditions", 32)]
)
def test_too_many_entries(field, most):
    entry = {"events": event(), "conditions": {"attribute": "new", "bool_equals": True}}.get(field, "i")
    assert len(getattr(parse(text="tea", **{field: [entry] * most}), field)) == most
    assert refused(**{field: [entry] * (most + 1)}) == {field: f"at most {most:,} entries, found {most + 1:,}"}


@pytest.mark.parametrize("bad", ["", "x" * 257, "茶" * 86], ids=len)
def test_a_bad_id_is_named_by_its_place(bad):
    for field in ("item_ids", "exclude_item_ids"):
        assert refused(**{field: ["a", bad, bad]}) == {f"{field}[1]": "an id has 1 to 256 bytes"}
    assert set(refused(events=[event(), event(item_id=bad)])) == {"events[1].item_id"}
    for caller in ("user_id", "session_id"):
        assert set(refused(**{caller: bad})) == {caller}


@pytest.mark.parametrize("good", ["x" * 256, "茶" * 85, "a\0b"], ids=len)
def test_ids_up_to_256_bytes_pass(good):
    assert parse(item_ids=[good]).item_ids == (good,)


@pytest.mark.parametrize("kind", [0, 15, 99, -1])
def test_an_unspecified_or_unknown_event_kind(kind):
    assert set(refused(events=[event(), event(kind=kind)])) == {"events[1].kind"}


@pytest.mark.parametrize("value", [3, 99, -1])
def test_an_unknown_history_encoding(value):
    assert set(refused(history_encoding=value)) == {"history_encoding"}


@pytest.mark.parametrize("time", [(0, -1), (0, 10**9), (253_402_300_800, 0), (-62_135_596_801, 0), (2**63 - 1, 0)])
def test_a_time_that_is_none(time):
    stamp = Timestamp(seconds=time[0], nanos=time[1])
    assert set(refused(events=[event(time=stamp)])) == {"events[0].time"}


def test_a_title_that_is_too_long_or_blank():
    assert set(refused(events=[event(item_title="x" * 1_025)])) == {"events[0].item_title"}
    assert set(refused(events=[event(item_title=" ")])) == {"events[0].item_title"}


def circle(**fields):
    whole = {"longitude_attribute": "lon", "latitude": 52.5, "longitude": 13.4, "radius_km": 10} | fields
    return {"geo_radius": {name: value for name, value in whole.items() if value is not None}}


def test_a_circle():
    query = parse(text="tea", conditions=[{"attribute": "price", "negate": True, **circle(latitude=0)}])
    assert query.conditions == (Condition("price", GeoRadius("lon", 0.0, 13.4, 10.0), negate=True),)


@pytest.mark.parametrize(
    ("test", "field", "words"),
    [
        ({}, "conditions[1]", "one of any_of, range, bool_equals, time_range"),
        ({"any_of": {}}, "conditions[1].any_of.values", "at least one value"),
        ({"any_of": {"values": ["x"] * 1_001}}, "conditions[1].any_of.values", "at most 1,000 entries"),
        ({"range": {}}, "conditions[1].range", "at least one of min and max"),
        ({"range": {"min": math.nan}}, "conditions[1].range", "must not be NaN"),
        ({"range": {"max": math.nan}}, "conditions[1].range", "must not be NaN"),
        ({"number_equals": math.nan}, "conditions[1].number_equals", "must not be NaN"),
        ({"any_number": {}}, "conditions[1].any_number.values", "at least one value"),
        ({"any_number": {"values": [1, math.nan]}}, "conditions[1].any_number.values", "must not be NaN"),
        ({"any_number": {"values": [1.0] * 1_001}}, "conditions[1].any_number.values", "at most 1,000 entries"),
        ({"range": {"min": 2.0, "max": 1.0}}, "conditions[1].range", "min must not lie above max"),
        ({"time_range": {}}, "conditions[1].time_range", "at least one of min and max"),
        ({"time_range": {"min": {"nanos": -1}}}, "conditions[1].time_range.min", "valid Timestamp"),
        ({"time_range": {"max": {"seconds": 2**62}}}, "conditions[1].time_range.max", "valid Timestamp"),
        (circle(latitude=90.01), "conditions[1].geo_radius.latitude", "between -90 and 90 degrees, found 90.01"),
        (circle(latitude=math.nan), "conditions[1].geo_radius.latitude", "between -90 and 90 degrees, found nan"),
        (circle(latitude=None), "conditions[1].geo_radius.latitude", "must be given"),
        (circle(longitude=-180.5), "conditions[1].geo_radius.longitude", "between -180 and 180 degrees, found -180.5"),
        (circle(longitude=math.inf), "conditions[1].geo_radius.longitude", "between -180 and 180"),
        (circle(longitude=None), "conditions[1].geo_radius.longitude", "must be given"),
        (circle(radius_km=0), "conditions[1].geo_radius.radius_km", "must be above 0 and finite, found 0"),
        (circle(radius_km=-1), "conditions[1].geo_radius.radius_km", "must be above 0 and finite, found -1"),
        (circle(radius_km=math.nan), "conditions[1].geo_radius.radius_km", "found nan"),
        (circle(radius_km=math.inf), "conditions[1].geo_radius.radius_km", "found inf"),
        (circle(longitude_attribute="brand"), "conditions[1].geo_radius.longitude_attribute", "is a string"),
        (circle(longitude_attribute=""), "conditions[1].geo_radius.longitude_attribute", 'no item has an attribute ""'),
        (
            {"time_range": {"min": {"seconds": 5, "nanos": 2}, "max": {"seconds": 5, "nanos": 1}}},
            "conditions[1].time_range",
            "min must not lie after max",
        ),
    ],
)
def test_a_bad_condition(test, field, words):
    good = {"attribute": "brand", "any_of": {"values": ["x"]}}
    (kind,) = test or ("",)
    attribute = {"any_of": "brand", "time_range": "seen"}.get(kind, "price")
    found = refused(conditions=[good, {"attribute": attribute, **test}])
    assert set(found) == {field}
    assert words in found[field]
    grouped = refused(any_of_groups=[{"conditions": [good]}, {"conditions": [good, {"attribute": attribute, **test}]}])
    assert set(grouped) == {field.replace("conditions", "any_of_groups[1].conditions", 1)}


def test_conditions_that_no_item_can_meet_together_are_refused():
    one, other = ({"attribute": "price", "number_equals": number} for number in (14.5, 13.0))
    good = {"attribute": "brand", "any_of": {"values": ["x"]}}
    words = "no item can meet both this and conditions[0]; leave one out"
    assert refused(conditions=[one, good, other]) == {"conditions[2]": words}
    ends = [{"attribute": "price", "range": {"min": 20}}, {"attribute": "price", "range": {"max": 10}}]
    assert refused(conditions=ends) == {"conditions[1]": words}
    assert set(refused(any_of_groups=[{"conditions": [one, other]}])) == {"any_of_groups[0].conditions[1]"}
    # Wishes need not come true together.
    assert len(parse(text="tea", preferences=[one, other]).preferences) == 2


@pytest.mark.parametrize(("low", "high"), [(math.nan, 1.0), (1.0, math.nan), (math.nan, math.nan)])
def test_nan_at_either_end_of_a_full_range_is_said_once(low, high):
    with pytest.raises(InvalidRequest, match=r"^conditions\[0\]\.range: an end must not be NaN$"):
        parse(text="tea", conditions=[{"attribute": "price", "range": {"min": low, "max": high}}])


@pytest.mark.parametrize(
    ("given", "test"),
    [
        ({"min": {"seconds": 5, "nanos": 7}}, TimeRange((5, 7), None)),
        ({"max": {}}, TimeRange(None, (0, 0))),
        ({"min": {"seconds": 5}, "max": {"seconds": 5}}, TimeRange((5, 0), (5, 0))),
    ],
)
def test_a_range_of_time(given, test):
    (condition,) = parse(text="tea", conditions=[{"attribute": "seen", "time_range": given}]).conditions
    assert condition.test == test


def test_a_range_may_be_a_point_and_unbounded():
    for low, high in ((1.0, 1.0), (-math.inf, math.inf)):
        (condition,) = parse(
            text="tea", conditions=[{"attribute": "price", "range": {"min": low, "max": high}}]
        ).conditions
        assert condition.test == Range(low, high)


@pytest.mark.parametrize(
    "path", ["titel", "", "attributes.", "attributes.brand", "price", "title.x", "TITLE", "x" * 99]
)
def test_an_unknown_mask_path(path):
    found = refused(item_mask={"paths": ["title", path]})
    assert set(found) == {"item_mask"}
    assert f'"{path[:64]}"' in found["item_mask"]


@pytest.mark.parametrize(
    ("paths", "mask"),
    [
        ([], None),
        (["*"], ItemMask(frozenset({"title", "text", "available", "attributes"}))),
        (["id"], ItemMask()),
        (["text", "text"], ItemMask(frozenset({"text"}))),
    ],
)
def test_a_mask(paths, mask):
    assert parse(text="tea", item_mask={"paths": paths}).item_mask == mask


@pytest.mark.parametrize(
    ("names", "mask"),
    [
        (["brand", "a.b", "brand"], ItemMask(frozenset(), frozenset({"brand", "a.b"}))),
        (["*"], ItemMask(frozenset({"attributes"}))),
    ],
)
def test_single_attributes(names, mask):
    assert parse(text="tea", item_attributes=names).item_mask == mask


def test_every_unknown_attribute_is_named_with_the_most_alike():
    found = refused(item_attributes=["price", "Brand", "wheels"])
    assert found == {
        "item_attributes[1]": 'no item has an attribute "Brand"; did you mean "brand"?',
        "item_attributes[2]": 'no item has an attribute "wheels"',
    }
    assert set(refused(item_attributes=["brand"] * 1_001)) == {"item_attributes"}


def test_all_conditions_that_do_not_fit_are_named_at_once():
    found = refused(
        conditions=[{"attribute": "colour", "exists": True}, {"attribute": "price", "bool_equals": True}],
        preferences=[{"attribute": "brand", "number_equals": 1}],
        any_of_groups=[{"conditions": [{"attribute": "seen", "range": {"min": 1}}]}, {}],
        k=0,
    )
    assert set(found) == {
        "k",
        "conditions[0].attribute",
        "conditions[1]",
        "preferences[0]",
        "any_of_groups[0].conditions[0]",
        "any_of_groups[1].conditions",
    }


def test_a_request_may_say_nothing():
    for fields in ({}, {"user_id": "u"}, {"session_id": "s", "exclude_item_ids": ["a"], "k": 3}):
        assert parse(**fields).text == ""
    assert parse(item_ids=["a"]).text == ""
    assert parse(events=[event()]).text == ""


def test_an_event_token_needs_its_caller():
    assert set(refused(event_token="t")) == {"event_token"}
    assert parse(user_id="u", event_token="t").event_token == "t"


def test_without_repeats_needs_a_caller_and_no_page():
    assert set(refused(without_repeats=True)) == {"without_repeats"}
    assert set(refused(user_id="u", without_repeats=True, page_token="x")) == {"without_repeats"}


def test_signals_are_no_actions():
    shown = event(kind=event_pb2.EVENT_KIND_IMPRESSION)
    said = event(item_id="", kind=event_pb2.EVENT_KIND_SEARCH, text="green tea")
    query = parse(events=[shown, said, event()], profile="likes tea")
    assert ([one.item_id for one in query.events], [one.item_id for one in query.impressions]) == (["a"], ["a"])
    assert query.statements == ("likes tea", "green tea")


def test_ratings_weights_and_dwell_count():
    low, high, brief = parse(
        events=[
            event(rating=1.0),
            event(rating=5.0, weight=3.0),
            event(kind=event_pb2.EVENT_KIND_VIEW, dwell_time={"seconds": 3}),
        ]
    ).events
    assert low.kind is EventKind.DISLIKE
    assert (high.kind, high.weight) == (EventKind.BUY, 3.0)
    assert brief.weight == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"rating": 5.5}, "rating"),
        ({"weight": 0.0}, "weight"),
        ({"rank": -1}, "rank"),
        ({"event_id": "e" * 129}, "event_id"),
        ({"text": "words"}, "text"),
        ({"dwell_time": {"seconds": -1}}, "dwell_time"),
    ],
)
def test_what_an_event_cannot_say(fields, where):
    assert set(refused(events=[event(**fields)])) == {f"events[0].{where}"}


def test_a_search_has_a_text_and_no_item():
    kind = event_pb2.EVENT_KIND_SEARCH
    assert set(refused(events=[event(kind=kind)])) == {"events[0].item_id", "events[0].text"}


def test_seen_rules():
    (rule,) = parse(user_id="u", seen_rules=[{"kind": BUY, "max_age_seconds": 60}]).seen_rules
    assert (rule.kind, rule.max_age_s) == (EventKind.BUY, 60.0)
    bad = [{"kind": event_pb2.EVENT_KIND_IMPRESSION}, {"kind": BUY, "max_age_seconds": -1}]
    assert set(refused(seen_rules=bad)) == {"seen_rules[0].kind", "seen_rules[1].max_age_seconds"}


def test_every_violation_is_named_at_once():
    found = refused(text=" ", k=0, events=[event(kind=0)], item_mask={"paths": ["x"]}, exclude_item_ids=[""])
    assert set(found) == {"text", "k", "events[0].kind", "item_mask", "exclude_item_ids[0]"}


@pytest.mark.parametrize(
    "fields",
    [
        {"events": [event(kind=0)] * 1_000},
        {"item_mask": {"paths": ["茶" * 64 + str(number) for number in range(5_000)]}},
        {"conditions": [{"attribute": "x"}] * 32},
        {"conditions": [{"attribute": "茶" * 64, "exists": True}] * 32},
    ],
)
def test_a_refusal_stays_small_enough_for_a_status(fields):
    """gRPC allows 8 KiB of metadata, and the refusal stands in it twice: message and details."""
    with pytest.raises(InvalidRequest) as refusal:
        parse(text="tea", **fields)
    assert 0 < len(refusal.value.violations) <= 20
    assert len(str(refusal.value).encode()) < 2_600


def test_a_batch_has_1_to_256_requests():
    parse_batch(pb.BatchRecommendRequest(requests=[{}] * 256), LIMITS)
    for count in (0, 257):
        with pytest.raises(InvalidRequest) as refusal:
            parse_batch(pb.BatchRecommendRequest(requests=[{}] * count), LIMITS)
        assert [violation.field for violation in refusal.value.violations] == ["requests"]


def test_texts_to_embed():
    assert parse_embed(embedding_pb2.EmbedRequest(texts=["tea", "茶"]), LIMITS) == EmbedQuery(
        ("tea", "茶"), TextRole.PLAIN
    )
    for texts, fields in (
        ([], ["texts"]),
        (["x"] * 257, ["texts"]),
        (["x", " "], ["texts[1]"]),
        (["x" * 8_193, "a\0"], ["texts[0]", "texts[1]"]),
    ):
        with pytest.raises(InvalidRequest) as refusal:
            parse_embed(embedding_pb2.EmbedRequest(texts=texts), LIMITS)
        assert [violation.field for violation in refusal.value.violations] == fields
    with pytest.raises(InvalidRequest) as refusal:
        parse_embed(embedding_pb2.EmbedRequest(texts=[" "] * 256), LIMITS)
    assert len(refusal.value.violations) <= 20


@pytest.mark.parametrize(
    ("named", "role"),
    [("TEXT_ROLE_QUERY", TextRole.QUERY), ("TEXT_ROLE_PASSAGE", TextRole.PASSAGE), (0, TextRole.PLAIN)],
)
def test_the_role_of_texts_to_embed(named, role):
    assert parse_embed(embedding_pb2.EmbedRequest(texts=["tea"], role=named), LIMITS).role is role


@pytest.mark.parametrize(
    ("number", "asked"),
    [(0, VectorFormat.FLOAT32), (1, VectorFormat.FLOAT32), (2, VectorFormat.FLOAT16), (3, VectorFormat.INT8)],
)
def test_the_format_of_vectors(number, asked):
    assert parse_embed(embedding_pb2.EmbedRequest(texts=["tea"], vector_format=number), LIMITS).vector_format is asked
    with pytest.raises(InvalidRequest, match="vector_format: unknown value; see VectorFormat"):
        parse_embed(embedding_pb2.EmbedRequest(texts=["tea"], vector_format=9), LIMITS)


def test_a_role_that_this_gateway_does_not_know_is_refused():
    with pytest.raises(InvalidRequest, match="role: unknown value; see TextRole"):
        parse_embed(embedding_pb2.EmbedRequest(texts=["tea"], role=9), LIMITS)


def test_the_fields_of_a_text():
    query = parse(
        text="tea",
        personalization=0.0,
        min_relevance=1.0,
        interpretation="TEXT_INTERPRETATION_OFF",
        preferences=[{"attribute": "price", "range": {"max": 3}}],
        language="zh-Hans",
        exact_spelling=True,
    )
    assert (query.personalization, query.min_relevance) == (0.0, 1.0)
    assert query.interpretation is TextInterpretation.OFF
    assert query.preferences == (Condition("price", Range(None, 3.0)),)
    assert (query.language, query.exact_spelling) == ("zh-Hans", True)
    plain = parse(text="tea")
    assert (plain.personalization, plain.min_relevance, plain.offset) == (DEFAULT_PERSONALIZATION, None, 0)
    assert plain.interpretation is TextInterpretation.PREFER


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"personalization": 1.5}, "personalization"),
        ({"personalization": float("nan")}, "personalization"),
        ({"min_relevance": -0.1}, "min_relevance"),
        ({"interpretation": 9}, "interpretation"),
        ({"preferences": [{"attribute": "x"}]}, "preferences[0]"),
        ({"candidate_item_ids": ["a", "b", "a"]}, "candidate_item_ids"),
        ({"k": 5, "candidate_item_ids": [str(number) for number in range(1_001)]}, "candidate_item_ids"),
        ({"language": "english, please"}, "language"),
        ({"page_token": "x"}, "page_token"),
        ({"page_token": "\u00e9"}, "page_token"),
    ],
)
def test_fields_of_a_text_out_of_range(fields, named):
    assert set(refused(InvalidRequest, text="tea", **fields)) == {named}


def test_all_candidates_are_wanted_back():
    assert parse(candidate_item_ids=["a", "b", "c"]).k == 3
    assert parse(candidate_item_ids=["a", "b", "c"], k=2).k == 2


def test_a_page_token_belongs_to_its_request():
    first = pb.RecommendRequest(text="tea", k=5)
    token = write_page_token(first, Page("r1", 5))
    assert parse(text="tea", k=7, explain=True, page_token=token).page == Page("r1", 5)
    assert set(refused(InvalidRequest, text="coffee", page_token=token)) == {"page_token"}


def test_an_arrangement():
    query = parse(
        arrangement={
            "diversity": 0.5,
            "caps": [{"attribute": "brand", "most": 2, "within": 5}],
            "pins": [{"item_id": "a", "place": 3}],
            "boosts": [
                {"condition": {"attribute": "price", "range": {"max": 3}}, "strength": 0.5},
                {"items": {"item_ids": ["a"]}, "strength": -1},
            ],
            "new_share": 0.1,
            "new_within": {"seconds": 3_600},
            "exploration": 0.2,
            "seed": 0,
        }
    )
    assert query.arrangement == Arrangement(
        diversity=0.5,
        caps=(Cap("brand", 2, 5),),
        pins=(Pin("a", 3),),
        boosts=(Boost(0.5, condition=Condition("price", Range(None, 3.0))), Boost(-1.0, ("a",))),
        new_share=0.1,
        new_within_s=3_600.0,
        exploration=0.2,
        seed=0,
    )
    assert parse(text="tea").arrangement.is_empty


def test_every_violation_of_an_arrangement_is_reported():
    with pytest.raises(InvalidRequest) as refusal:
        parse(
            arrangement={
                "diversity": 1.1,
                "novelty": float("nan"),
                "seed": -1,
                "new_within": {},
                "caps": [{"attribute": "colour", "most": 0}, {"attribute": "brand", "most": 3, "within": 3}],
                "pins": [{"item_id": "", "place": 1_001}, {"item_id": "a", "place": 1}, {"item_id": "a", "place": 1}],
                "boosts": [{"strength": 0}, {"items": {}, "strength": 2}],
            }
        )
    assert [violation.field.removeprefix("arrangement.") for violation in refusal.value.violations] == [
        "diversity",
        "novelty",
        "seed",
        "new_within",
        "caps[0].attribute",
        "caps[0].most",
        "caps[1].within",
        "pins[0].item_id",
        "pins[0].place",
        "pins",
        "pins",
        "boosts[0].strength",
        "boosts[0]",
        "boosts[1].strength",
        "boosts[1].items.item_ids",
    ]
