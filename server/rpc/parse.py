"""Protobuf requests to checked domain requests: the one place where input is validated."""

import re
from collections.abc import Mapping

from domain.arrangement import Arrangement
from domain.condition import suggestion
from domain.interpretation import TextInterpretation
from domain.item import AttributeType
from domain.recommendation import DEFAULT_PERSONALIZATION, ItemMask, RecommendQuery
from domain.scene import NO_SCENES, Scene, Scenes
from domain.user_history import UserHistory
from server.rpc.check import Check, RequestLimits
from server.rpc.fixed_limits import LANGUAGE_CHARACTERS
from server.rpc.page_token import read_page_token
from server.rpc.parse_arrangement import parse_arrangement
from server.rpc.parse_conditions import ConditionParser
from server.rpc.parse_event import parse_caller, parse_history, parse_seen_rules
from server.rpc.parse_scene import asked_count, known_scene, scene_of
from shortlist.v1 import interpretation_pb2
from shortlist.v1 import recommender_pb2 as pb

_ENCODINGS = frozenset(pb.HistoryEncoding.values())
_INTERPRETATIONS = {
    interpretation_pb2.TEXT_INTERPRETATION_UNSPECIFIED: TextInterpretation.PREFER,
    **{getattr(interpretation_pb2, f"TEXT_INTERPRETATION_{use.name}"): use for use in TextInterpretation},
}
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_MASK_FIELDS = frozenset({"title", "text", "available", "attributes"})
_MASK_WORDS = "id, title, text, available, attributes; single attributes are named in item_attributes"


def parse_recommend(
    request: pb.RecommendRequest,
    limits: RequestLimits,
    attribute_types: Mapping[str, AttributeType],
    scenes: Scenes = NO_SCENES,
) -> RecommendQuery:
    """Checks a request.

    Args:
        request: as it arrived.
        limits: the gateway's.
        attribute_types: of the live catalogue, for conditions and details.
        scenes: of the gateway.

    Raises:
        InvalidRequest: with one violation for each field out of range, the first 16.
        UnknownScene: the gateway does not have the scene.
    """
    scene = scene_of(request, scenes)
    check = Check()
    caller = parse_caller(request, check, required=False)
    if request.profile:
        check.text(request.profile, limits.max_text_bytes, "profile")
    check.that(not request.event_token or caller, "event_token", "belongs to a user_id or session_id; give that too")
    check.that(not request.without_repeats or caller, "without_repeats", "needs a user_id or session_id")
    check.that(
        not (request.without_repeats and request.page_token),
        "without_repeats",
        "leaves out what pages before showed; leave page_token out instead",
    )
    if request.HasField("text"):
        check.text(request.text, limits.max_text_bytes, "text")
    candidates = request.candidate_item_ids
    k = asked_count(request, limits, scene)
    if not 1 <= k <= limits.max_k:
        check.that(False, "k", f"must lie between 1 and {limits.max_k:,}, found {k}")
    check.that(request.history_encoding in _ENCODINGS, "history_encoding", "unknown value; see HistoryEncoding")
    history = parse_history(request.events, limits, check) if request.events else UserHistory()
    for values, most, field in (
        (request.item_ids, limits.max_item_ids, "item_ids"),
        (request.exclude_item_ids, limits.max_exclusions, "exclude_item_ids"),
        (candidates, limits.max_candidates, "candidate_item_ids"),
    ):
        if values and check.count(values, most, field):
            check.ids(values, field)
    if candidates:
        distinct = len(set(candidates)) == len(candidates)
        check.that(distinct, "candidate_item_ids", "an id must not be given twice")
    parser = ConditionParser(attribute_types, limits.max_conditions, limits.max_condition_values, check)
    conditions = parser.conditions(request.conditions, "conditions")
    preferences = parser.conditions(request.preferences, "preferences", all_hold=False)
    groups = parser.groups(request.any_of_groups, "any_of_groups")
    for field in ("personalization", "min_relevance"):
        if request.HasField(field):
            check.share(getattr(request, field), field)
    interpretation = _INTERPRETATIONS.get(request.interpretation)
    check.that(interpretation is not None, "interpretation", "unknown value; see TextInterpretation")
    if request.language:
        fits = len(request.language) <= LANGUAGE_CHARACTERS and _LANGUAGE.fullmatch(request.language)
        check.that(fits, "language", 'a BCP 47 tag such as "en" or "zh-Hans"')
    own = parse_arrangement(request.arrangement, limits, parser) if request.HasField("arrangement") else Arrangement()
    seen_rules = parse_seen_rules(request.seen_rules, check) if request.seen_rules else None
    mask = _item_mask(request, attribute_types, limits, check)
    check.raise_any()
    return RecommendQuery(
        text=request.text,
        events=history.events,
        statements=(*((request.profile,) if request.profile else ()), *history.statements),
        impressions=history.impressions,
        caller=caller,
        event_token=request.event_token,
        seen_rules=seen_rules,
        without_repeats=request.without_repeats,
        item_ids=tuple(request.item_ids),
        tell_history=request.history_encoding == pb.HISTORY_ENCODING_TEXT,
        exclude_item_ids=tuple(request.exclude_item_ids),
        conditions=(*conditions, *scene.conditions),
        any_of_groups=groups,
        k=k,
        explain=request.explain,
        item_mask=mask,
        include_seen=request.include_seen,
        personalization=_personalization(request, scene),
        interpretation=interpretation or TextInterpretation.PREFER,
        preferences=(*preferences, *scene.preferences),
        min_relevance=request.min_relevance if request.HasField("min_relevance") else None,
        candidate_item_ids=tuple(candidates),
        page=read_page_token(request),
        language=request.language,
        exact_spelling=request.exact_spelling,
        arrangement=own.over(scene.arrangement),
        scene=scene.name,
        sources=scene.sources,
        fallback=scene.fallback,
    )


def _personalization(request: pb.RecommendRequest, scene: Scene) -> float:
    if request.HasField("personalization"):
        return float(request.personalization)
    return DEFAULT_PERSONALIZATION if scene.personalization is None else scene.personalization


def parse_batch(request: pb.BatchRecommendRequest, limits: RequestLimits, scenes: Scenes = NO_SCENES) -> None:
    """Checks the size of a batch; its entries are checked one by one.

    Raises:
        InvalidRequest: it is empty or too large, or asks for too many items in all.
    """
    check = Check()
    check.that(request.requests, "requests", "at least one request")
    if check.count(request.requests, limits.max_batch_requests, "requests"):
        # An entry whose own k is out of range fails without work.
        counts = (asked_count(entry, limits, known_scene(entry, scenes)) for entry in request.requests)
        total = sum(count for count in counts if 1 <= count <= limits.max_k)
        most = limits.max_batch_items
        check.that(
            total <= most,
            "requests",
            f"the entries ask for {total:,} items in all, at most {most:,} a call; send fewer entries or a smaller k",
        )
    check.raise_any()


def _item_mask(
    request: pb.RecommendRequest, attribute_types: Mapping[str, AttributeType], limits: RequestLimits, check: Check
) -> ItemMask | None:
    if not (request.item_mask.paths or request.item_attributes):
        return None
    fields: set[str] = set()
    for path in request.item_mask.paths:
        if path == "*":
            fields |= _MASK_FIELDS
        elif path in _MASK_FIELDS:
            fields.add(path)
        elif not check.that(path == "id", "item_mask", f'unknown path "{path[:64]}"; known: {_MASK_WORDS}'):
            break
    names = request.item_attributes
    if check.count(names, limits.max_item_attributes, "item_attributes"):
        for number, name in enumerate(names):
            if name == "*":
                fields.add("attributes")
            elif name not in attribute_types:
                like = suggestion(name[:64], attribute_types)
                words = f'no item has an attribute "{name[:64]}"{like}'
                check.that(False, f"item_attributes[{number}]", words)
    return ItemMask(frozenset(fields), frozenset(names) - {"*"})
