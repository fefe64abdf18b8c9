"""People by name, titles as they are and misspelt."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from random import Random

from bench.relevance.row import Row, share_row
from bench.relevance.subject import Subject, values_of
from domain.item import Item

_FEWEST_FILMS = 8
_TITLES = 500
_TITLES_OF_SMALL = 80
_FEWEST_LETTERS = 4
_Misspell = Callable[[str, int], str]


async def people(subject: Subject) -> list[Row]:
    """Asks for everybody who has eight items or more: hits in the top ten over possible ones."""
    items_of: dict[str, set[str]] = defaultdict(set)
    for item in subject.items:
        for name in {*values_of(item, "cast"), *values_of(item, "director")} if item.available else ():
            items_of[name].add(item.id)
    names = sorted(name for name, ids in items_of.items() if len(ids) >= _FEWEST_FILMS)
    lists = await subject.search(names)
    hits = sum(len(items_of[name] & set(answer.ids[:10])) for name, answer in zip(names, lists, strict=True))
    possible = sum(min(10, len(items_of[name])) for name in names)
    value = hits / possible if possible else float("nan")
    detail = f"{hits} of {possible}, {len(names)} people"
    return [Row("people", "people by name, hits in the top ten", value, least=0.97, detail=detail)]


async def titles(subject: Subject) -> list[Row]:
    """Asks for unique titles: as they are, with two letters swapped, one missing, one doubled; share that is first."""
    unique = _unique(subject.items)
    drawn = subject.random("titles").sample(unique, min(_TITLES_OF_SMALL if subject.small else _TITLES, len(unique)))
    known = {item.title.casefold() for item in subject.items}
    rows = [await _first(subject, "title_exact", "exact title, first", [(item.title, item) for item in drawn], 0.98)]
    forms: tuple[tuple[str, str, _Misspell, float | None], ...] = (
        ("title_swapped", "two adjacent letters swapped, first", _swapped, 0.85),
        ("title_missing", "one letter missing, first", _missing, 0.85),
        ("title_doubled", "one letter doubled, first", _doubled, None),
    )
    for key, name, change, least in forms:
        rng = subject.random(key)
        misspelt = [(text, item) for item in drawn if (text := misspell(item.title, change, rng))]
        pairs = [(text, item) for text, item in misspelt if text.casefold() not in known]
        rows.append(await _first(subject, key, name, pairs, least))
    return rows


def misspell(title: str, change: _Misspell, rng: Random) -> str:
    """Changes a letter of a word with four letters or more; empty where no change of the title is possible."""
    places = [
        place
        for place in range(len(title) - 1)
        if title[place].isalpha() and _word_length(title, place) >= _FEWEST_LETTERS
    ]
    texts = [text for place in places if (text := change(title, place)) not in ("", title)]
    return rng.choice(texts) if texts else ""


async def _first(subject: Subject, key: str, name: str, pairs: Sequence[tuple[str, Item]], least: float | None) -> Row:
    lists = await subject.search([text for text, _ in pairs])
    hits = [float(answer.ids[:1] == [item.id]) for (_, item), answer in zip(pairs, lists, strict=True)]
    return share_row(key, name, hits, least, "titles")


def _unique(items: Sequence[Item]) -> list[Item]:
    counts = Counter(item.title.casefold() for item in items)
    return [item for item in items if item.available and item.title.strip() and counts[item.title.casefold()] == 1]


def _word_length(text: str, place: int) -> int:
    """Returns the number of letters in the word at a place."""
    start = end = place
    while start > 0 and text[start - 1].isalpha():
        start -= 1
    while end < len(text) and text[end].isalpha():
        end += 1
    return end - start


def _swapped(title: str, place: int) -> str:
    first, second = title[place], title[place + 1]
    if not second.isalpha() or first.casefold() == second.casefold():
        return ""
    return title[:place] + second + first + title[place + 2 :]


def _missing(title: str, place: int) -> str:
    return title[:place] + title[place + 1 :]


def _doubled(title: str, place: int) -> str:
    return title[: place + 1] + title[place:]
