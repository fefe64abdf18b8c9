"""Flags for the precision of an encoder, shared by `export` and `release build`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from domain.manifest import FLOAT32, PRECISIONS

if TYPE_CHECKING:
    from export.precision.calibration import Precision


def add_precision_flags(parser: argparse.ArgumentParser, without: str) -> None:
    """Declares `--precision` and `--calibration`; `without` says what the latter's absence means."""
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=FLOAT32,
        help="float16 is for GPUs, int8 for CPUs (default: %(default)s)",
    )
    parser.add_argument(
        "--calibration",
        metavar="FILE",
        type=Path,
        help=f"texts that float16 and int8 are set up and measured with: one a line, or an item file ({without})",
    )


def precision_of(args: argparse.Namespace, texts: Path | None) -> "Precision":
    """Returns the wanted precision with the texts of that file.

    Raises:
        CalibrationNotUsable, ItemFileError: the texts can't be read, or are too few.
    """
    from export.precision.calibration import Precision, read_calibration

    if args.precision == FLOAT32:
        return Precision()
    precision = Precision(args.precision, read_calibration(texts) if texts is not None else ())
    precision.check()
    return precision
