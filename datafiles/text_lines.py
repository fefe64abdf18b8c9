"""Lines of a text file, packed or not, with a clear message where they end too early."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from domain.errors import ItemFileError


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, text with its line end).

    Args:
        path: UTF-8, with or without a byte order mark; gzip where the name ends so.

    Raises:
        ItemFileError: the file is missing, cut off or not UTF-8; the message names the line.
    """
    number = 0
    try:
        with _opened(path) as stream:
            for number, raw in enumerate(stream, start=1):
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise ItemFileError(
            f"{path}, line {number}: not valid UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ItemFileError(f"{path}: after line {number}: the gzip file is damaged or cut off ({error})") from error
    except OSError as error:
        raise ItemFileError(f"{path}: cannot be read: {error.strerror or error}") from error


def _opened(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")
