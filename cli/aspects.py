"""`shortlist aspects`: what reviews say about price, quality and the rest, and how well that agrees with labels."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from core.aspects.extract import AspectScore
    from datafiles.reviews import LabelledReview
    from training.reviews.agreement import AspectAgreement

HELP = "read aspects (price, quality, service ...) out of reviews"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist aspects` takes."""
    parser.add_argument(
        "--reviews", type=Path, required=True, metavar="FILE", help=".jsonl or .csv (also .gz) with a column text"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a review, and the agreement as the last line"
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
    agreement = _agreement(reviews, read)
    if args.json:
        _print_json(reviews, read, agreement)
    else:
        _print_tables(reviews, read, agreement)
    if args.out is not None:
        _write_profiles(reviews, args.out, quiet=args.json)
    return 0


def _agreement(
    reviews: "Sequence[LabelledReview]", read: "Sequence[tuple[AspectScore, ...]]"
) -> "dict[str, AspectAgreement]":
    """Returns agreement by language, of the labelled reviews."""
    from core.aspects.extract import SAID_FROM
    from domain.text import language_of
    from training.reviews.agreement import measure_agreement

    by_language: dict[str, list[tuple[dict[str, str], dict[str, str]]]] = {}
    for review, scores in zip(reviews, read, strict=True):
        if review.aspects is not None:
            confident = {score.aspect: score.label for score in scores if score.confidence >= SAID_FROM}
            language = review.language or language_of(review.text)
            by_language.setdefault(language, []).append((review.aspects, confident))
    return {
        language: measure_agreement([aspects for aspects, _ in pairs], [confident for _, confident in pairs])
        for language, pairs in sorted(by_language.items())
    }


def _print_json(
    reviews: "Sequence[LabelledReview]",
    read: "Sequence[tuple[AspectScore, ...]]",
    agreement: "dict[str, AspectAgreement]",
) -> None:
    for place, (review, scores) in enumerate(zip(reviews, read, strict=True)):
        aspects = [
            {"aspect": score.aspect, "polarity": score.polarity, "confidence": score.confidence} for score in scores
        ]
        print(json.dumps({"id": review.id or str(place + 1), "item_id": review.item_id, "aspects": aspects}))
    if agreement:
        print(json.dumps({"agreement": {language: _as_json(result) for language, result in agreement.items()}}))


def _as_json(agreement: "AspectAgreement") -> dict[str, object]:
    return {
        "texts": agreement.texts,
        "macro_f1": round(agreement.macro_f1, 4),
        "polarity_macro_f1": round(agreement.polarity_macro_f1, 4),
        "naming_f1": round(agreement.naming.f1, 4),
        "f1_by_aspect": {name: round(counts.f1, 4) for name, counts in agreement.by_aspect.items()},
        "f1_by_polarity": {name: round(counts.f1, 4) for name, counts in agreement.by_polarity.items()},
    }


def _print_tables(
    reviews: "Sequence[LabelledReview]",
    read: "Sequence[tuple[AspectScore, ...]]",
    agreement: "dict[str, AspectAgreement]",
) -> None:
    from rich.console import Console
    from rich.markup import escape

    from core.aspects.extract import SAID_FROM

    console = Console()
    for place, (review, scores) in enumerate(zip(reviews, read, strict=True)):
        confident = [
            f"{score.aspect} {score.polarity:+.2f} ({score.confidence:.2f})"
            for score in scores
            if score.confidence >= SAID_FROM
        ]
        line = f"{review.id or place + 1}  {', '.join(confident) or 'nothing'}  | {review.text}"
        console.print(escape(line), highlight=False, soft_wrap=True)
    if agreement:
        console.print(_agreement_table(agreement))


def _agreement_table(agreement: "dict[str, AspectAgreement]") -> "Table":
    from rich.table import Table

    table = Table(title="F1: aspect and polarity both right", title_justify="left")
    table.add_column("")
    for language, result in agreement.items():
        table.add_column(f"{language} ({result.texts} reviews)", justify="right")
    table.add_row("macro-F1 over aspects", *(f"{result.macro_f1:.3f}" for result in agreement.values()), style="bold")
    table.add_row(
        "macro-F1 over polarities", *(f"{result.polarity_macro_f1:.3f}" for result in agreement.values()), style="bold"
    )
    table.add_row("aspect found", *(f"{result.naming.f1:.3f}" for result in agreement.values()), end_section=True)
    for part in ("by_aspect", "by_polarity"):
        names = list(dict.fromkeys(name for result in agreement.values() for name in getattr(result, part)))
        for name in names:
            cells = [getattr(result, part).get(name) for result in agreement.values()]
            table.add_row(name, *("-" if cell is None else f"{cell.f1:.2f} of {cell.labelled}" for cell in cells))
    return table


def _write_profiles(reviews: "Sequence[LabelledReview]", out: Path, *, quiet: bool) -> None:
    from domain.progress import SilentProgress
    from training.reviews.profiles import ITEM_FILE, Review, ReviewProfileSettings, save_profiles, train_review_profiles

    named = [Review(review.user_id, review.item_id, review.text) for review in reviews if review.item_id]
    profiles = train_review_profiles(named, ReviewProfileSettings(), SilentProgress())
    save_profiles(out, profiles)
    if not quiet:
        print(f"{len(profiles.scores)} items in {out / ITEM_FILE}")
