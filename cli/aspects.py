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
    agreements = _agreements(reviews, read)
    if args.json:
        _print_json(reviews, read, agreements)
    else:
        _print_tables(reviews, read, agreements)
    if args.out is not None:
        _write_profiles(reviews, args.out, quiet=args.json)
    return 0


def _agreements(
    reviews: "Sequence[LabelledReview]", read: "Sequence[tuple[AspectScore, ...]]"
) -> "dict[str, AspectFigures]":
    """Returns figures by language, of the labelled reviews."""
    from core.aspects.extract import SAID_FROM
    from domain.text import language_of
    from training.reviews.agreement import aspect_figures

    by_language: dict[str, list[tuple[dict[str, str], dict[str, str]]]] = {}
    for review, scores in zip(reviews, read, strict=True):
        if review.aspects is not None:
            predicted = {score.aspect: score.label for score in scores if score.confidence >= SAID_FROM}
            language = review.language or language_of(review.text)
            by_language.setdefault(language, []).append((review.aspects, predicted))
    return {
        language: aspect_figures([labels for labels, _ in pairs], [predicted for _, predicted in pairs])
        for language, pairs in sorted(by_language.items())
    }


def _print_json(
    reviews: "Sequence[LabelledReview]",
    read: "Sequence[tuple[AspectScore, ...]]",
    agreements: "dict[str, AspectFigures]",
) -> None:
    for place, (review, scores) in enumerate(zip(reviews, read, strict=True)):
        labels = [
            {"aspect": entry.aspect, "polarity": entry.polarity, "confidence": entry.confidence} for entry in scores
        ]
        print(json.dumps({"id": review.id or str(place + 1), "item_id": review.item_id, "aspects": labels}))
    if agreements:
        print(json.dumps({"figures": {language: _as_json(entry) for language, entry in agreements.items()}}))


def _as_json(agreements: "AspectFigures") -> dict[str, object]:
    return {
        "texts": agreements.texts,
        "macro_f1": round(agreements.macro_f1, 4),
        "polarity_macro_f1": round(agreements.polarity_macro_f1, 4),
        "naming_f1": round(agreements.naming.f1, 4),
        "f1_by_aspect": {name: round(counts.f1, 4) for name, counts in agreements.by_aspect.items()},
        "f1_by_polarity": {name: round(counts.f1, 4) for name, counts in agreements.by_polarity.items()},
    }


def _print_tables(
    reviews: "Sequence[LabelledReview]",
    read: "Sequence[tuple[AspectScore, ...]]",
    agreements: "dict[str, AspectFigures]",
) -> None:
    from rich.console import Console
    from rich.markup import escape

    from core.aspects.extract import SAID_FROM

    console = Console()
    for place, (review, scores) in enumerate(zip(reviews, read, strict=True)):
        predicted = [
            f"{entry.aspect} {entry.polarity:+.2f} ({entry.confidence:.2f})"
            for entry in scores
            if entry.confidence >= SAID_FROM
        ]
        line = f"{review.id or place + 1}  {', '.join(predicted) or 'nothing'}  | {review.text}"
        console.print(escape(line), highlight=False, soft_wrap=True)
    if agreements:
        console.print(_agreement_table(agreements))


def _agreement_table(agreements: "dict[str, AspectFigures]") -> "Table":
    from rich.table import Table

    table = Table(title="F1: aspect and polarity both right", title_justify="left")
    table.add_column("")
    for language, entry in agreements.items():
        table.add_column(f"{language} ({entry.texts} reviews)", justify="right")
    table.add_row("macro-F1 over aspects", *(f"{entry.macro_f1:.3f}" for entry in agreements.values()), style="bold")
    table.add_row(
        "macro-F1 over polarities", *(f"{entry.polarity_macro_f1:.3f}" for entry in agreements.values()), style="bold"
    )
    table.add_row("aspect found", *(f"{entry.naming.f1:.3f}" for entry in agreements.values()), end_section=True)
    for part in ("by_aspect", "by_polarity"):
        names = list(dict.fromkeys(name for entry in agreements.values() for name in getattr(entry, part)))
        for name in names:
            cells = [getattr(entry, part).get(name) for entry in agreements.values()]
            table.add_row(name, *("-" if cell is None else f"{cell.f1:.2f} of {cell.labelled}" for cell in cells))
    return table


def _write_profiles(reviews: "Sequence[LabelledReview]", out: Path, *, quiet: bool) -> None:
    from domain.progress import SilentProgress
    from training.reviews.profiles import ITEM_FILE, Review, ReviewProfileSettings, train_review_profiles

    named = [Review(entry.user_id, entry.item_id, entry.text) for entry in reviews if entry.item_id]
    profiles = train_review_profiles(named, ReviewProfileSettings(), SilentProgress())
    profiles.save(out)
    if not quiet:
        print(f"{len(profiles.items.scores)} items in {out / ITEM_FILE}")
