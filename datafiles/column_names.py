"""Names of columns: what the product calls a column, and what files usually call it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from datafiles.options import FileOptions
from domain.errors import ShortlistError

# Usual names by standard name, the likeliest first; compared without case, "_", "-", "." and spaces.
ITEM_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": (
        "item_id", "itemid", "product_id", "parent_asin", "asin", "movie_id", "film_id", "book_id", "article_id",
        "video_id",
        "track_id", "song_id", "game_id", "business_id", "listing_id", "news_id", "_id", "sku", "isbn", "item", "iid",
        "product_code", "stock_code", "handle", "ean", "gtin", "uuid",
    ),
    "title": (
        "name", "item_name", "item_title", "product_name", "product_title", "movie_title", "film_title", "book_title",
        "article_title", "track_name", "song_title", "game_title", "headline", "title_en",
    ),
    "text": (
        "description", "item_description", "product_description", "long_description", "short_description", "desc",
        "overview",
        "summary", "synopsis", "plot", "abstract", "body", "content",
    ),
}  # fmt: skip
INTERACTION_NAMES: Mapping[str, tuple[str, ...]] = {
    "user_id": (
        "user", "uid", "reviewer_id", "customer_id", "visitor_id", "account_id", "member_id", "client_id", "buyer_id",
        "person_id", "profile_id", "user_name", "session_id", "customer", "visitor",
    ),
    "item_id": (*ITEM_NAMES["id"][1:], "id_item", "content_id", "object_id"),
    "rating": ("score", "stars", "overall", "user_rating", "review_rating", "star_rating", "review_overall"),
    "kind": ("event", "event_type", "event_name", "action", "action_type", "behavior", "behaviour",
        "behavior_type", "type"),
    "timestamp": (
        "time", "ts", "unix_review_time", "unix_time", "unix_timestamp", "date_time", "date", "event_time",
        "created_at",
        "created", "time_stamp", "reviewed_at", "invoice_date", "order_date", "purchase_date", "review_date",
    ),
    "text": ("review_text", "review", "comment", "review_body"),
    "position": (),
    "weight": (),
}  # fmt: skip
_NUMBERED = re.compile(r"[1-9]\d{0,3}")
# RecBole's names end with their type.
_TYPED = re.compile(r"(.+):(token|float|token_seq|float_seq)")


@dataclass(frozen=True)
class ColumnNames:
    """Standard names of a file's columns.

    Attributes:
        names: one for each column of the file: the standard name, or the file's own.
        read_as: name in the file by standard name, where the two differ.
        headless: whether the first line is a record.
    """

    names: tuple[str, ...]
    read_as: Mapping[str, str]
    headless: bool = False

    @property
    def note(self) -> str:
        """Says what is read as what; empty where nothing differs."""
        if not self.read_as:
            return ""
        pairs = ", ".join(f"{name} as {standard}" for standard, name in self.read_as.items())
        return f"columns: {pairs} (--columns chooses others)"


def standard_names(
    header: Sequence[str],
    usual: Mapping[str, Sequence[str]],
    options: FileOptions,
    refuse: Callable[[str], ShortlistError],
) -> ColumnNames:
    """Finds the standard names of a file's columns: those of the options, else its own, else usual ones.

    Args:
        header: the file's names, stripped; of a file without header, the cells of its first line.
        usual: usual names by standard name.
        options: with the names that were given.
        refuse: makes the error from its message.

    Raises:
        ShortlistError: a name that was given is not in the file.
    """
    given = {_standard(name, usual): column for name, column in options.columns.items()}
    given = {standard: column for standard, column in given.items() if standard in usual or standard == "available"}
    names = [plain_name(name) for name in header]
    counted = names == [str(place) for place in range(len(names))]  # how pandas names columns that have no names
    if given and not counted and all(_NUMBERED.fullmatch(column) for column in given.values()):
        return _numbered(len(header), given, refuse)
    taken: dict[int, str] = {}
    read_as: dict[str, str] = {}
    for standard, column in given.items():
        place = _place(column, header, names)
        if place is None:
            raise refuse(
                f'--columns {standard}={column}: the file has no column "{column}"; found: {", ".join(header[:20])}'
            )
        taken[place] = standard
        read_as[standard] = column
    shadowed = {standard for standard, column in read_as.items() if column != standard}
    own = {standard for standard in usual if standard in names and standard not in given}
    by_form = {_form(name): place for place, name in reversed(list(enumerate(names))) if place not in taken}
    for standard, candidates in usual.items():
        if standard in given or standard in own:
            continue
        found = next((by_form[form] for name in (standard, *candidates) if (form := _form(name)) in by_form), None)
        if found is not None and found not in taken and names[found] not in usual:
            taken[found] = standard
            read_as[standard] = names[found]
    # A column that a given one takes the place of keeps its values under another name.
    chosen = [taken.get(place) or (f"{name}_in_file" if name in shadowed else name) for place, name in enumerate(names)]
    return ColumnNames(tuple(chosen), {key: name for key, name in read_as.items() if name != key})


def looks_like_a_record(header: Sequence[str]) -> bool:
    """Returns whether a first line has a number where a name is expected."""
    return any(re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", name) for name in header)


def plain_name(name: str) -> str:
    """Returns a name without the type that some files write behind it."""
    match = _TYPED.fullmatch(name)
    return match[1] if match else name


def _standard(name: str, usual: Mapping[str, Sequence[str]]) -> str:
    """Returns the standard name; an item file's "item_id" is its "id"."""
    return "id" if name == "item_id" and "id" in usual else name


def _form(name: str) -> str:
    return re.sub(r"[\s_.\-]+", "", name).casefold() if name != "_id" else name


def _place(column: str, header: Sequence[str], names: Sequence[str]) -> int | None:
    for candidates in (header, names):
        if column in candidates:
            return candidates.index(column)
    return None


def _numbered(width: int, given: Mapping[str, str], refuse: Callable[[str], ShortlistError]) -> ColumnNames:
    names = [f"column_{place}" for place in range(1, width + 1)]
    for standard, column in given.items():
        if int(column) > width:
            raise refuse(f"--columns {standard}={column}: the first line has {width} columns")
        names[int(column) - 1] = standard
    return ColumnNames(
        tuple(names), {standard: f"column {column}" for standard, column in given.items()}, headless=True
    )
