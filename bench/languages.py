"""Detection of foreign texts: how many are seen, how many English ones are taken for foreign, and what it costs.

    python -m bench.languages --items FILE [--items FILE]

Counts over bench/foreign-texts.tsv (180 wishes in six languages) and over titles and texts of English item files, each
in halves: the margins of `core/text/language.py` were chosen on the even rows and are confirmed on the odd ones. Titles
that are flagged are printed, since some films have no English title.
"""

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.text.language import LanguageDetector
from datafiles.items import read_items

_FOREIGN = Path(__file__).parent / "foreign-texts.tsv"
_MOST_TITLES = 0.002
_MOST_TEXTS = 0.005
_MOST_MICROSECONDS = 100
_SHOWN = 40


def main(argv: Sequence[str]) -> int:
    """Prints the figures; returns 0."""
    parser = argparse.ArgumentParser(prog="bench.languages")
    parser.add_argument("--items", type=Path, action="append", required=True, metavar="FILE", help="of English items")
    args = parser.parse_args(argv)
    detector = _opened()
    _foreign(detector)
    for path in args.items:
        items = read_items(path).items
        flagged = _english(detector, f"{path.parent.name} titles", [item.title for item in items], _MOST_TITLES)
        _print("    " + "; ".join(f"{title} ({tag})" for title, tag in flagged[:_SHOWN]))
        _english(detector, f"{path.parent.name} titles in small letters", [item.title.lower() for item in items])
        texts = [item.text for item in items if item.text]
        if texts:
            _english(detector, f"{path.parent.name} texts", texts, _MOST_TEXTS)
    return 0


def _opened() -> LanguageDetector:
    detector, before, started = LanguageDetector(), _peak_mb(), time.perf_counter()
    detector.open()
    _print(f"load {time.perf_counter() - started:.2f} s, peak memory + {_peak_mb() - before:.0f} MB")
    return detector


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _foreign(detector: LanguageDetector) -> None:
    rows = [line.split("\t") for line in _FOREIGN.read_text(encoding="utf-8").splitlines()]
    started = time.process_time()
    found = [detector.detect(text) for _, text in rows]
    microseconds = (time.process_time() - started) / len(rows) * 1e6
    seen = np.array([tag is not None for tag in found])
    named = np.array([tag == language for tag, (language, _) in zip(found, rows, strict=True)])
    words = np.array([len(text.split()) for _, text in rows])
    tags = np.array([language for language, _ in rows])
    _print(
        f"foreign: {seen.mean():.3f} seen, {named.mean():.3f} named right, {microseconds:.0f} us each "
        f"(goal {_MOST_MICROSECONDS}); even rows {seen[::2].mean():.3f}, odd rows {seen[1::2].mean():.3f}"
    )
    for low, high in ((3, 3), (4, 4), (5, 6), (7, 15)):
        part = (words >= low) & (words <= high)
        _print(f"    {low} to {high} words: {seen[part].mean():.3f} of {part.sum()}")
    _print("    " + ", ".join(f"{tag} {seen[tags == tag].mean():.3f}" for tag in dict.fromkeys(tags.tolist())))


def _english(
    detector: LanguageDetector, name: str, texts: Sequence[str], most: float | None = None
) -> list[tuple[str, str]]:
    """Prints a line, and returns what was taken for another language, and for which."""
    started = time.process_time()
    found = [detector.detect(text) for text in texts]
    microseconds = (time.process_time() - started) / len(texts) * 1e6
    flagged = np.array([tag is not None for tag in found])
    goal = "" if most is None else f" (goal {most})"
    _print(
        f"{name}: {flagged.mean():.4f} of {len(texts):,} flagged{goal}; even rows {flagged[::2].mean():.4f}, "
        f"odd rows {flagged[1::2].mean():.4f}; {microseconds:.0f} us each"
    )
    return [(text, tag) for text, tag in zip(texts, found, strict=True) if tag is not None]


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
