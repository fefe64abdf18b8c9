"""The rules of an arrangement, protobuf to domain."""

from domain.arrangement import Arrangement, Boost, Cap, Pin
from domain.item import AttributeType
from server.rpc.check import Check, RequestLimits
from server.rpc.fixed_limits import MOST_BOOSTS, MOST_CAPS, MOST_PINS, MOST_PLACES
from server.rpc.parse_conditions import ConditionParser
from shortlist.v1 import arrangement_pb2 as pb

_SHARES = ("diversity", "new_share", "exploration", "novelty")


def parse_arrangement(message: pb.Arrangement, limits: RequestLimits, parser: ConditionParser) -> Arrangement:
    """Checks the rules of a request.

    Args:
        message: as it arrived.
        limits: the gateway's.
        parser: of the request's conditions; its check gets the violations.
    """
    check = parser.check
    shares = {name: getattr(message, name) for name in _SHARES if message.HasField(name)}
    for name, share in shares.items():
        check.share(share, f"arrangement.{name}")
    if message.HasField("seed"):
        check.that(message.seed >= 0, "arrangement.seed", f"must be at least 0, found {message.seed}")
    new_within_s = None
    if message.HasField("new_within"):
        new_within_s = message.new_within.seconds + message.new_within.nanos / 1e9
        check.that(new_within_s > 0, "arrangement.new_within", "must be above 0")
    return Arrangement(
        caps=_caps(message, parser),
        pins=_pins(message, check),
        boosts=_boosts(message, limits, parser),
        new_within_s=new_within_s,
        seed=message.seed if message.HasField("seed") else None,
        **shares,
    )


def _caps(message: pb.Arrangement, parser: ConditionParser) -> tuple[Cap, ...]:
    check = parser.check
    if not check.count(message.caps, MOST_CAPS, "arrangement.caps"):
        return ()
    for number, cap in enumerate(message.caps):
        where = f"arrangement.caps[{number}]"
        kind = parser.types.get(cap.attribute)
        if check.that(kind is not None, f"{where}.attribute", f'no item has an attribute "{cap.attribute[:64]}"'):
            fits = kind is not AttributeType.TIMESTAMP
            check.that(fits, f"{where}.attribute", f'attribute "{cap.attribute}" is a timestamp; few items share one')
        check.that(1 <= cap.most <= MOST_PLACES, f"{where}.most", f"must lie between 1 and {MOST_PLACES:,}")
        fits = cap.within == 0 or cap.most < cap.within <= MOST_PLACES
        check.that(fits, f"{where}.within", f"must be 0, or above `most` and at most {MOST_PLACES:,}")
    attributes = [cap.attribute for cap in message.caps]
    distinct = len(set(attributes)) == len(attributes)
    check.that(distinct, "arrangement.caps", "an attribute must not have two caps")
    return tuple(Cap(cap.attribute, cap.most, cap.within) for cap in message.caps)


def _pins(message: pb.Arrangement, check: Check) -> tuple[Pin, ...]:
    if not check.count(message.pins, MOST_PINS, "arrangement.pins"):
        return ()
    for number, pin in enumerate(message.pins):
        where = f"arrangement.pins[{number}]"
        check.item_id(pin.item_id, f"{where}.item_id")
        check.that(1 <= pin.place <= MOST_PLACES, f"{where}.place", f"must lie between 1 and {MOST_PLACES:,}")
    for field in ("item_id", "place"):
        given = [getattr(pin, field) for pin in message.pins]
        check.that(len(set(given)) == len(given), "arrangement.pins", f"two pins must not have the same {field}")
    return tuple(Pin(pin.item_id, pin.place) for pin in message.pins)


def _boosts(message: pb.Arrangement, limits: RequestLimits, parser: ConditionParser) -> tuple[Boost, ...]:
    check = parser.check
    if not check.count(message.boosts, MOST_BOOSTS, "arrangement.boosts"):
        return ()
    boosts = []
    for number, boost in enumerate(message.boosts):
        where = f"arrangement.boosts[{number}]"
        fits = -1 <= boost.strength <= 1 and boost.strength != 0
        check.that(fits, f"{where}.strength", f"must lie between -1 and 1, not 0, found {boost.strength}")
        target = boost.WhichOneof("target")
        if target == "condition":
            condition = parser.condition(boost.condition, f"{where}.condition")
            if condition is not None:
                boosts.append(Boost(boost.strength, condition=condition))
        elif check.that(target == "items", where, "one of condition and items must be given"):
            ids = boost.items.item_ids
            check.that(ids, f"{where}.items.item_ids", "at least one id")
            if check.count(ids, limits.max_item_ids, f"{where}.items.item_ids"):
                check.ids(ids, f"{where}.items.item_ids")
            boosts.append(Boost(boost.strength, tuple(ids)))
    return tuple(boosts)
