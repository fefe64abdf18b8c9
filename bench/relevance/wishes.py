"""Wishes that texts name: a genre with a year, a negated genre, a price."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.relevance.row import Row, share_row
from bench.relevance.subject import Subject, number_of, values_of
from domain.item import Item

_TOP = 10
_DRAWN = 30
_GENRES = "genres"
_PRICE = "median_price_gbp"
_LIMITS = (1, 2, 3, 5, 10)
_FEWEST_ABOVE_SHARE = 0.3
_WORD = re.compile(r"[a-z]{3,}")
_FEWEST_WITH_WORD = 30


@dataclass(frozen=True)
class Wish:
    """A text, and whether an item meets what it names."""

    text: str
    meets: Callable[[Item], bool]


async def films(subject: Subject) -> list[Row]:
    """Asks for genres with a year and for negated genres, where ten items or more meet them."""
    return [
        await _share(subject, "genre_year", "genre and year, top ten that meet it", _genre_years(subject)),
        await _share(subject, "negated", "negated genre, top ten that meet it", _negated(subject)),
    ]


async def prices(subject: Subject) -> list[Row]:
    """Asks a shop for goods below a price, where ten or more of these words are below it and a third are above."""
    return [await _share(subject, "price", "price below, top ten that meet it", _prices(subject))]


async def _share(subject: Subject, key: str, name: str, wishes: Sequence[Wish]) -> Row:
    lists = await subject.search([wish.text for wish in wishes])
    shares = [
        sum(wish.meets(subject.item_of[item_id]) for item_id in answer.ids[:_TOP]) / _TOP
        for wish, answer in zip(wishes, lists, strict=True)
    ]
    return share_row(key, name, shares, 0.95, "texts")


def _genre_years(subject: Subject) -> list[Wish]:
    counts: Counter[tuple[str, float]] = Counter()
    for item in subject.items:
        year = number_of(item, "year")
        if year is not None and item.available:
            counts.update((genre, year) for genre in _named_genres(item))
    able = sorted(pair for pair, count in counts.items() if count >= _TOP)
    rng = subject.random("genre_year")
    forms = ("a {genre} from {year}", "{genre} film from {year}", "{genre} {year}")
    wishes = []
    for place, (genre, year) in enumerate(rng.sample(able, min(_DRAWN, len(able)))):
        text = forms[place % len(forms)].format(genre=genre.lower(), year=int(year))
        wishes.append(Wish(text, _all_of(_has(genre), _of_year(year))))
    return wishes


def _negated(subject: Subject) -> list[Wish]:
    genres = Counter(genre for item in subject.items if item.available for genre in _named_genres(item))
    common = sorted(genre for genre, count in genres.items() if count >= _TOP)
    pairs = [
        (wanted, unwanted)
        for wanted in common
        for unwanted in common
        if wanted != unwanted and _both(subject, wanted, unwanted) and _wanted_alone(subject, wanted, unwanted) >= _TOP
    ]
    rng = subject.random("negated")
    wishes = [
        Wish(f"a {wanted.lower()}, not {unwanted.lower()}", _all_of(_has(wanted), _lacks(unwanted)))
        for wanted, unwanted in rng.sample(pairs, min(_DRAWN, len(pairs)))
    ]
    return wishes + [Wish(f"not {genre.lower()}", _lacks(genre)) for genre in common]


def _both(subject: Subject, wanted: str, unwanted: str) -> int:
    """Returns how many items have both: without any, the negation would ask for nothing."""
    return sum({wanted, unwanted} <= set(_named_genres(item)) for item in subject.items)


def _wanted_alone(subject: Subject, wanted: str, unwanted: str) -> int:
    meets = _all_of(_has(wanted), _lacks(unwanted))
    return sum(meets(item) for item in subject.items if item.available)


def _prices(subject: Subject) -> list[Wish]:
    price_of: dict[str, list[float]] = {}
    for item in subject.items:
        price = number_of(item, _PRICE)
        if price is not None and item.available:
            for word in set(_WORD.findall(item.title.casefold())):
                price_of.setdefault(word, []).append(price)
    able = []
    for word, known in sorted(price_of.items()):
        for limit in _LIMITS:
            below = sum(price < limit for price in known)
            if len(known) >= _FEWEST_WITH_WORD and below >= _TOP and 1 - below / len(known) >= _FEWEST_ABOVE_SHARE:
                able.append((word, limit))
    rng = subject.random("price")
    return [Wish(f"{word} under {limit}", _below(limit)) for word, limit in rng.sample(able, min(_DRAWN, len(able)))]


def _named_genres(item: Item) -> tuple[str, ...]:
    """Returns the genres that are words."""
    return tuple(genre for genre in values_of(item, _GENRES) if genre[:1].isalpha())


def _has(genre: str) -> Callable[[Item], bool]:
    return lambda item: genre in values_of(item, _GENRES)


def _lacks(genre: str) -> Callable[[Item], bool]:
    return lambda item: genre not in values_of(item, _GENRES)


def _of_year(year: float) -> Callable[[Item], bool]:
    return lambda item: number_of(item, "year") == year


def _below(limit: float) -> Callable[[Item], bool]:
    """Returns whether an item costs less; the limit itself counts, as "under 3" is read either way."""
    return lambda item: (price := number_of(item, _PRICE)) is not None and price <= limit


def _all_of(*conditions: Callable[[Item], bool]) -> Callable[[Item], bool]:
    return lambda item: all(condition(item) for condition in conditions)
