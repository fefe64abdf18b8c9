"""Texts that a precision is set up and measured with: a file's, or those of the release's own items."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from domain.errors import CalibrationNotUsable
from domain.manifest import FLOAT32, PRECISIONS

# Enough for the largest magnitudes by channel and for the hundredth part of a distribution; more only takes time.
TEXT_COUNT = 256
_FEWEST_TEXTS = 2
_ITEM_FILES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
_T = TypeVar("_T")
_WANTED = "give --calibration FILE: a text a line, or an item file"


@dataclass(frozen=True)
class Precision:
    """Precision of the served file, with its calibration texts.

    Attributes:
        name: "float32", "float16" or "int8".
        texts: what the encoder will meet, at least two; float32 needs none.
    """

    name: str = FLOAT32
    texts: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuses what nothing can be made from.

        Raises:
            CalibrationNotUsable: the name is unknown, or texts are needed and missing.
        """
        if self.name not in PRECISIONS:
            raise CalibrationNotUsable(f"precision {self.name!r} is unknown; expected one of {', '.join(PRECISIONS)}")
        count = len({text for text in self.texts if text.strip()})
        if self.name != FLOAT32 and count < _FEWEST_TEXTS:
            raise CalibrationNotUsable(
                f"{self.name} is measured on texts as they are served, and {count} different ones were given; {_WANTED}"
            )


def read_calibration(path: Path) -> tuple[str, ...]:
    """Reads the texts of a file: one a line, blank lines left out; of an item file each item's text.

    Raises:
        CalibrationNotUsable: it can't be read, or holds fewer than two texts.
        ItemFileError: it is an item file with an error; names the line.
    """
    try:
        texts = _item_texts(path) if path.name.endswith(_ITEM_FILES) else path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise CalibrationNotUsable(f"calibration texts can't be read from {path}: {reason}; {_WANTED}") from error
    distinct = tuple(dict.fromkeys(text for text in texts if text.strip()))
    if len(distinct) < _FEWEST_TEXTS:
        raise CalibrationNotUsable(
            f"{path} holds {len(distinct)} different texts, expected at least {_FEWEST_TEXTS}; {_WANTED}"
        )
    return spread(distinct)


def spread(texts: Sequence[_T], count: int = 2 * TEXT_COUNT) -> tuple[_T, ...]:
    """Returns at most `count` of them, evenly from the first to the last."""
    if len(texts) <= count:
        return tuple(texts)
    return tuple(texts[place * len(texts) // count] for place in range(count))


def _item_texts(path: Path) -> list[str]:
    """Returns the texts of as many items as are wanted, from all over the file."""
    from datafiles.items import check_items
    from domain.text import TextTemplate, item_text

    file = check_items(path)
    wanted = set(spread(range(file.item_count)))
    return [
        item_text(item, TextTemplate(file.text_attributes))
        for place, item in enumerate(file.items())
        if place in wanted
    ]
