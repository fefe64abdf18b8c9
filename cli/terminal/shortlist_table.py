"""A shortlist as a table for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.terminal.columns import Column, cell_width, fitting, longest_word, table_of, wrapped
from cli.terminal.output import is_piped, note, print_rows
from cli.terminal.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

    from shortlist import Condition, RankedItem, Shortlist

_NARROWEST_TITLE = 20
_NARROWEST_FIELD = 16


def print_reply(reply: "Shortlist", fields: Sequence[str], *, fusion: bool) -> None:
    """Prints a reply of `shortlist recommend`: a table on a terminal, a line for each item where it is piped."""
    if is_piped():
        print_rows(_line(item, fields, fusion=fusion) for item in reply.items)
        for line in (_cost(reply), *_notes(reply, pages=True)):
            note(line)
        return
    from rich.console import Console

    print_shortlist(reply, Console(), fusion=fusion, pages=True, fields=fields)


def _line(item: "RankedItem", fields: Sequence[str], *, fusion: bool) -> list[object]:
    """Returns a line's cells: rank, id, the fields, similarity, relevance, match, score, sources, more."""
    shares = (item.similarity, item.relevance, item.match_probability, item.score)
    return [
        item.rank,
        item.id,
        *(_field(item, field) for field in fields or ("title",)),
        *("-" if share is None else f"{share:.4f}" for share in shares),
        ", ".join(_sources(item)) or "-",
        *([item.explanation.text] if item.explanation else []),
        *([_fusion(item)] if fusion else []),
    ]


def _field(item: "RankedItem", field: str) -> str:
    """Returns an item's detail, or attribute, in words."""
    details = item.item
    if details is None:
        return ""
    if field in ("attributes", "*"):
        return "; ".join(f"{name}={_words(value)}" for name, value in sorted((details.attributes or {}).items()))
    if field in ("id", "title", "text", "available"):
        return _words(getattr(details, field))
    return _words((details.attributes or {}).get(field))


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def print_shortlist(
    reply: "Shortlist",
    console: "Console",
    *,
    fusion: bool = False,
    pages: bool = False,
    fields: Sequence[str] = ("title",),
) -> None:
    """Prints a shortlist as a table, and below it what one should know about it.

    Columns that a narrow terminal has no room for are left out and named; where the rest does not fit either, each item
    is a block of lines, one a value. No id is cut or split.

    Args:
        reply: the shortlist.
        console: where it is printed.
        fusion: whether each source's place and score of each item are printed.
        pages: whether the flag that continues the list is printed.
        fields: item details that were asked for; each but the title has a column.
    """
    columns = _columns(reply, fields)
    kept = fitting(columns, console.width) if reply.items else []
    if kept is None:
        _print_blocks(reply, columns, console, fusion=fusion)
    else:
        if kept:
            console.print(table_of(kept, console.width), highlight=False)
        for item in reply.items:
            for _, text in _reasons(item, fusion=fusion):
                _print(console, text, "dim", f"{item.rank:4}  ")
    _print(console, _cost(reply), "dim")
    if kept and len(kept) < len(columns):
        left_out = ", ".join(column.name for column in columns if column not in kept)
        _print(console, f"no room for: {left_out} (a wider terminal shows it)", "dim")
    for line in _notes(reply, pages=pages):
        _print(console, line, "yellow")


def _columns(reply: "Shortlist", fields: Sequence[str]) -> list[Column]:
    """Returns the columns of a table with all that the reply has."""
    items = reply.items

    def shares(name: str, values: Sequence[float | None], form: str, spare: int = 0) -> list[Column]:
        if all(value is None for value in values):
            return []
        return [Column(name, ["-" if one is None else format(one, form) for one in values], right=True, spare=spare)]

    titles = [printable(one.item.title or "") if one.item else "" for one in items]
    columns = [Column("rank", [f"{item.rank:4}" for item in items], right=True)]
    if any(titles):
        columns.append(Column("title", titles, narrowest=_NARROWEST_TITLE))
    for field in fields:
        if field not in ("title", "id"):
            cells = [printable(_field(item, field)) for item in items]
            narrowest = max(longest_word(cells), _NARROWEST_FIELD)
            columns.append(Column("attributes" if field == "*" else field, cells, narrowest=narrowest))
    scores = [item.score for item in items]
    if scores == sorted(scores, reverse=True):
        columns += shares("score", scores, ".3f")
    columns += shares("similarity", [item.similarity for item in items], ".3f", spare=1)
    columns += shares("relevance", [item.relevance for item in items], ".0%")
    columns += shares("match", [item.match_probability for item in items], ".1%")
    # An item that many sources recalled names one a line, so that its title keeps its place on a narrow terminal.
    columns.append(Column("source", ["\n".join(_sources(item)) for item in items], spare=2))
    columns.append(Column("id", [printable(item.id) for item in items], style="dim"))
    return columns


def _print_blocks(reply: "Shortlist", columns: Sequence[Column], console: "Console", *, fusion: bool) -> None:
    """Prints a block of lines for each item: its place and title, or id, and a line for each further value."""
    head, *others = columns[1:] if columns[1].name == "title" else (columns[-1], *columns[1:-1])
    # The id is what is copied: it stands first.
    others = [*(one for one in others if one.name == "id"), *(one for one in others if one.name != "id")]
    for place, item in enumerate(reply.items):
        lines = [(one.name, ", ".join(one.cells[place].splitlines())) for one in others]
        lines += _reasons(item, fusion=fusion)
        width = max(cell_width(name) for name, _ in lines)
        _print(console, head.cells[place], "bold", f"{item.rank:4}  ")
        for name, value in lines:
            if value:
                _print(console, value, label=f"      {name}{' ' * (width - cell_width(name))}  ")


def _print(console: "Console", text: str, style: str = "", label: str = "") -> None:
    """Prints a text beside its label, its further lines below itself; no word is split, nothing is markup."""
    from rich.text import Text

    indent = cell_width(label)
    for number, line in enumerate(wrapped(printable(text), console.width - indent)):
        beside = " " * indent if number else label
        console.print(Text(beside) + Text(line, style), soft_wrap=True, highlight=False)


def _reasons(item: "RankedItem", *, fusion: bool) -> list[tuple[str, str]]:
    """Returns why an item is in the list, by name."""
    reasons = [("why", printable(item.explanation.text))] if item.explanation else []
    return [*reasons, *([("fusion", _fusion(item))] if fusion else [])]


def _cost(reply: "Shortlist") -> str:
    times = reply.stage_times
    triton_ms = times.triton_ms + times.rank_triton_ms
    return f"{times.total_ms:.1f} ms in the gateway, {triton_ms:.1f} ms of them Triton; release {reply.release_id}"


def _notes(reply: "Shortlist", *, pages: bool) -> list[str]:
    notes = [f"{one.detail} [{one.reason}]" for one in reply.degradations]
    notes.extend(_understood(reply))
    notes.extend(_arranged(reply))
    if reply.shortfall_count:
        notes.append(f"{reply.shortfall_count} fewer items than asked for")
    if reply.unknown_item_ids:
        notes.append(f"not in the catalogue: {', '.join(reply.unknown_item_ids)}")
    if pages and reply.next_page_token:
        notes.append(f"more: --page {reply.next_page_token}")
    return notes


def _arranged(reply: "Shortlist") -> list[str]:
    """Returns the scene, what could not be placed, and the seed of draws."""
    notes = []
    if reply.scene:
        notes.append(f"scene: {reply.scene}")
    if reply.unplaced_item_ids:
        notes.append(f"not placed, since they may not be recommended: {', '.join(reply.unplaced_item_ids)}")
    if reply.seed is not None:
        notes.append(f"drawn with --seed {reply.seed}")
    return notes


def _fusion(item: "RankedItem") -> str:
    """Returns each source's place and score, and the probabilities."""
    parts = [f"{one.source.name.lower()} #{one.rank} {one.score:.3f}" for one in item.provenance]
    shares = (("relevance", item.relevance), ("match", item.match_probability), ("choice", item.choice_probability))
    parts.extend(f"{name} {share:.1%}" for name, share in shares if share is not None)
    return f"score {item.score:.3f} <- {'; '.join(parts)}"


def _understood(reply: "Shortlist") -> list[str]:
    """Returns what was searched, what was understood of the text, and how the list goes on."""
    notes = []
    if reply.corrected_text:
        notes.append(f"searched for: {reply.corrected_text}")
    understood = reply.interpretation
    if understood is not None:
        parts = [f"{_said(one.condition)} ({one.phrase})" for one in understood.conditions]
        parts += [
            f"{one.attribute}, {'largest' if one.descending else 'smallest'} first ({one.phrase})"
            for one in understood.orders
        ]
        parts += [f"not {term}" for term in understood.excluded_terms]
        notes.append(f"understood: {'; '.join(parts)}")
    return notes


def _said(condition: "Condition") -> str:
    from shortlist import AnyNumber, AnyOf, Equals, Exists, GeoRadius

    name = f"not {condition.attribute}" if condition.negate else condition.attribute
    if isinstance(condition, AnyOf):
        return f"{name} is {' or '.join(condition.values)}"
    if isinstance(condition, AnyNumber):
        return f"{name} is {' or '.join(f'{number:g}' for number in condition.values)}"
    if isinstance(condition, Exists):
        return f"{name} is {'there' if condition.value else 'missing'}"
    if isinstance(condition, Equals):
        return f"{name} is {str(condition.value).lower()}"
    if isinstance(condition, GeoRadius):
        return f"{name} is within {condition.radius_km:g} km of {condition.latitude:g}, {condition.longitude:g}"
    ends = [
        f"{word} {end:g}" if isinstance(end, float) else f"{word} {end}"
        for word, end in (("from", condition.min), ("to", condition.max))
        if end is not None
    ]
    return " ".join((name, *ends))


def _sources(item: "RankedItem") -> list[str]:
    """Returns each source with the item's place in it, and the rules that placed it."""
    lines = [f"{origin.source.name.lower()} #{origin.rank}" for origin in item.provenance]
    if item.arranged_by:
        was = "" if item.ranked_place is None else f", was {item.ranked_place}"
        lines.append(f"{' '.join(rule.name.lower() for rule in item.arranged_by)}{was}")
    return lines
