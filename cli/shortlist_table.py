"""A shortlist as a table for people."""

from typing import TYPE_CHECKING

from cli.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

    from shortlist import Condition, RankedItem, Shortlist


def print_shortlist(reply: "Shortlist", console: "Console", *, fusion: bool = False, pages: bool = False) -> None:
    """Prints a shortlist as a table, and below it what one should know about it.

    Args:
        reply: the shortlist.
        console: where it is printed.
        fusion: whether each source's place and score of each item are printed.
        pages: whether the flag that continues the list is printed.
    """
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("title", overflow="fold", min_width=16)
    table.add_column("similarity", justify="right", no_wrap=True)
    relevant = any(item.relevance is not None for item in reply.items)
    if relevant:
        table.add_column("relevance", justify="right", no_wrap=True)
    ranked = any(item.match_probability is not None for item in reply.items)
    if ranked:
        table.add_column("match", justify="right", no_wrap=True)
    # An item that many sources recalled names one a line, so that its title keeps its place on a narrow terminal.
    table.add_column("source", no_wrap=True)
    table.add_column("id", style="dim", overflow="fold", min_width=12)
    for item in reply.items:
        table.add_row(*_row(item, relevant=relevant, ranked=ranked))
    console.print(table, highlight=False)
    for item in reply.items:
        if item.explanation:
            console.print(
                f"{item.rank:4}  {printable(item.explanation.text)}", style="dim", highlight=False, markup=False
            )
        if fusion:
            console.print(f"{item.rank:4}  {_fusion(item)}", style="dim", highlight=False, markup=False)
    times = reply.stage_times
    triton_ms = times.triton_ms + times.rank_triton_ms
    cost = f"{times.total_ms:.1f} ms in the gateway, {triton_ms:.1f} ms of them Triton"
    notes = [f"{degradation.reason.name}: {degradation.detail}" for degradation in reply.degradations]
    notes.extend(_understood(reply))
    if reply.shortfall_count:
        notes.append(f"{reply.shortfall_count} fewer items than asked for")
    if reply.unknown_item_ids:
        notes.append(f"not in the catalogue: {', '.join(reply.unknown_item_ids)}")
    # Without markup: ids and texts are other people's, and may hold what rich would take for a tag.
    console.print(f"{cost}; release {printable(reply.release_id)}", style="dim", highlight=False, markup=False)
    if pages and reply.next_page_token:
        notes.append(f"more: --page {reply.next_page_token}")
    for note in notes:
        console.print(printable(note), style="yellow", highlight=False, markup=False)


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
    from shortlist import AnyOf, Equals

    name = f"not {condition.attribute}" if condition.negate else condition.attribute
    if isinstance(condition, AnyOf):
        return f"{name} is {' or '.join(condition.values)}"
    if isinstance(condition, Equals):
        return f"{name} is {str(condition.value).lower()}"
    ends = [
        f"{word} {end:g}" if isinstance(end, float) else f"{word} {end}"
        for word, end in (("from", condition.min), ("to", condition.max))
        if end is not None
    ]
    return " ".join((name, *ends))


def _row(item: "RankedItem", *, relevant: bool, ranked: bool) -> list[str]:
    from rich.markup import escape

    title = escape(printable(item.item.title) if item.item else "")
    similarity = "-" if item.similarity is None else f"{item.similarity:.3f}"
    sources = "\n".join(f"{origin.source.name.lower()} #{origin.rank}" for origin in item.provenance)
    match = "-" if item.match_probability is None else f"{item.match_probability:.1%}"
    relevance = "-" if item.relevance is None else f"{item.relevance:.0%}"
    shares = [*([relevance] if relevant else []), *([match] if ranked else [])]
    return [str(item.rank), title, similarity, *shares, sources, escape(printable(item.id))]
