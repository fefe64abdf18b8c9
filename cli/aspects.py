"""`shortlist aspects`: opinions in reviews by aspect, and their agreement with labels."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from core.aspects.extract import AspectScore
    from datafiles.reviews import LabelledReview
    from training.reviews.agreement import AspectFigures

HELP = "read aspects (price, quality, service ...) out of reviews"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist aspects` takes."""
    parser.add_argument(
        "--reviews", type=Path, required=True, metavar="FILE", help=".jsonl or .csv (also .gz) with a column text"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a review, and the figures as the last line"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write item profiles there, as a model folder holds them"
    )


def run(args: argparse.Namespace) -> int:
    """Prints aspects of each review; where reviews are labelled, F1 by language; returns 0.

    Raises:
        ReviewFileError: the file cannot be used.
    """
    from core.aspects.extract import aspect_scores
    from datafiles.reviews import read_reviews

    reviews = read_reviews(args.reviews)
    read = [aspect_scores(review.text) for review in reviews]
    figures = _figures(reviews, read)
    if args.json:
        _print_json(reviews, read, figures)
    else:
        _print_tables(reviews, read, figures)
    if args.out is not None:
        _write_profiles(reviews, args.out, quiet=args.json)
    return 0


def _figures(
    reviews: "Sequence[LabelledReview]", read: "Sequence[tuple[AspectScore, ...]]"
) -> "dict[str, AspectFigures]":
    """Returns figures by language, of the labelled reviews."""
    from core.aspects.extract import SAID_FROM
    from domain.text import language_of
    from training.reviews.agreement import aspect_figures

    by_language: dict[str, list[tuple[dict[str, str], dict[str, str]]]] = {}
    for review, scores in zip(reviews, read, strict=True):
        if review.aspects is not None:
            said = {score.aspect: score.label for score in scores if score.confidence >= SAID_FROM}
            language = review.language or language_of(review.text)
            by_language.setdefault(language, []).append((review.aspects, said))
    return {
        language: aspect_figures([told for told, _ in pairs], [said for _, said in pairs])
        for language, pairs in sorted(by_language.items())
    }


def _print_json(
    reviews: "Sequence[LabelledReview]",
    read: "Sequence[tuple[AspectScore, ...]]",
    figures: "dict[str, AspectFigures]",
) -> None:
    for place, (review, scores) in enumerate(zip(reviews, read, strict=True)):
        told = [{"aspect": one.aspect, "polarity": one.polarity, "confidence": one.confidence} for one in scores]
        print(json.dumps({"id": review.id or str(place + 1), "item_id": review.item_id, "aspects": told}))
    if figures:
        print(json.dumps({"figures": {language: _as_json(one) for language, one in figures.items()}}))


def _as_json(figures: "AspectFigures") -> dict[str, object]:
    return {
        "texts": figures.texts,
        "macro_f1": round(figures.macro_f1, 4),
        "polarity_macro_f1": round(figures.polarity_macro_f1, 4),
        "naming_f1": round(figures.naming.f1, 4),
        "f1_by_aspect": {name: round(counts.f1, 4) for name, counts in figures.by_aspect.items()},
        "f1_by_polarity": {name: round(counts.f1, 4) for name, counts in figures.by_polarity.items()},
    }


def _print_tables(
    reviews: "Sequence[LabelledReview]",
    read: "Sequence[tuple[AspectScore, ...]]",
    figures: "dict[str, AspectFigures]",
) -> None:
    from rich.console import Console
    from rich.markup import escape

    from core.aspects.extract import SAID_FROM

    console = Console()
    for place, (review, scores) in enumerate(zip(reviews, read, strict=True)):
        said = [
            f"{one.aspect} {one.polarity:+.2f} ({one.confidence:.2f})" for one in scores if one.confidence >= SAID_FROM
        ]
        line = f"{review.id or place + 1}  {', '.join(said) or 'nothing'}  | {review.text}"
        console.print(escape(line), highlight=False, soft_wrap=True)
    if figures:
        console.print(_figure_table(figures))


def _figure_table(figures: "dict[str, AspectFigures]") -> "Table":
    from rich.table import Table

    table = Table(title="F1: aspect and polarity both right", title_justify="left")
    table.add_column("")
    for language, one in figures.items():
        table.add_column(f"{language} ({one.texts} reviews)", justify="right")
    table.add_row("macro-F1 over aspects", *(f"{one.macro_f1:.3f}" for one in figures.values()), style="bold")
    table.add_row(
        "macro-F1 over polarities", *(f"{one.polarity_macro_f1:.3f}" for one in figures.values()), style="bold"
    )
    table.add_row("aspect found", *(f"{one.naming.f1:.3f}" for one in figures.values()), end_section=True)
    for part in ("by_aspect", "by_polarity"):
        names = list(dict.fromkeys(name for one in figures.values() for name in getattr(one, part)))
        for name in names:
            cells = [getattr(one, part).get(name) for one in figures.values()]
            table.add_row(name, *("-" if cell is None else f"{cell.f1:.2f} of {cell.labelled}" for cell in cells))
    return table


def _write_profiles(reviews: "Sequence[LabelledReview]", out: Path, *, quiet: bool) -> None:
    from domain.progress import SilentProgress
    from training.reviews.profiles import ITEM_FILE, Review, ReviewProfileSettings, train_review_profiles

    named = [Review(one.user_id, one.item_id, one.text) for one in reviews if one.item_id]
    profiles = train_review_profiles(named, ReviewProfileSettings(), SilentProgress())
    profiles.save(out)
    if not quiet:
        print(f"{len(profiles.items.scores)} items in {out / ITEM_FILE}")
