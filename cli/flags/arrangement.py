"""Flags that arrange a list: diversity, caps, pins, boosts, new items, exploration, novelty."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from cli.flags.call import WrongArgument
from cli.flags.conditions import client_condition
from domain.rule_words import boost_from, cap_from, pin_from

if TYPE_CHECKING:
    from shortlist import Arrangement

_Rule = TypeVar("_Rule")

_NUMBERS = ("diversity", "new_share", "explore", "seed", "novelty", "new_days")


def add_arrangement_flags(parser: "argparse._ActionsContainer") -> None:
    """Declares the rules of an arrangement."""
    parser.add_argument("--diversity", type=float, metavar="SHARE", help="how much items should differ, 0 to 1")
    parser.add_argument(
        "--cap", action="append", default=[], metavar="RULE", help="author=2: at most 2; category=2/5: 2 in any 5"
    )
    parser.add_argument("--pin", action="append", default=[], metavar="ID@PLACE", help="an item at a place")
    parser.add_argument(
        "--boost",
        action="append",
        default=[],
        metavar="WHAT@STRENGTH",
        help="move a condition's items, or one item, up (or down: below 0), by at most 1: genre=jazz@.3  item-7@-1",
    )
    parser.add_argument("--new-share", type=float, metavar="SHARE", help="least share of new items, 0 to 1")
    parser.add_argument("--new-days", type=float, metavar="DAYS", help="for how long an item is new")
    parser.add_argument("--explore", type=float, metavar="SHARE", help="share of places that a draw fills, 0 to 1")
    parser.add_argument("--seed", type=int, help="of the draws; the same seed gives the same list")
    parser.add_argument("--novelty", type=float, metavar="SHARE", help="prefer what few people chose, 0 to 1")


def arrangement_of(args: argparse.Namespace, types: Mapping[str, str] | None = None) -> "Arrangement | None":
    """Reads the rules; None where none is given.

    Args:
        args: the flags.
        types: what is known of attributes, by name.

    Raises:
        WrongArgument: one is not written as it should be.
    """
    from shortlist import Arrangement, Boost, Cap, Pin

    if all(getattr(args, name) is None for name in _NUMBERS) and not (args.cap or args.pin or args.boost):
        return None
    return Arrangement(
        diversity=args.diversity,
        caps=[Cap(cap.attribute, cap.most, cap.within or None) for cap in _read("--cap", args.cap, cap_from)],
        pins=[Pin(pin.item_id, pin.place) for pin in _read("--pin", args.pin, pin_from)],
        boosts=[
            Boost(boost.strength, item_ids=boost.item_ids)
            if boost.condition is None
            else Boost(boost.strength, condition=client_condition(boost.condition))
            for boost in _read("--boost", args.boost, partial(boost_from, types=types))
        ],
        new_share=args.new_share,
        new_within=None if args.new_days is None else timedelta(days=args.new_days),
        exploration=args.explore,
        seed=args.seed,
        novelty=args.novelty,
    )


def _read(flag: str, words: Sequence[str], read: Callable[[str], _Rule]) -> list[_Rule]:
    try:
        return [read(word) for word in words]
    except ValueError as error:
        raise WrongArgument(f"{flag} {error}") from error
