"""Files of JSON objects: one a line, over several lines, or in one array, with the line in every error."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

from datafiles import text_lines
from datafiles.refusals import Refused
from datafiles.text_lines import FileError
from domain.errors import ShortlistError

# Quoted strings, and what opens and closes outside them.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_EXPECTED = "expected one JSON object a line, or an array of objects"


def json_objects(
    path: Path, error_class: FileError, refused: Refused | None = None
) -> Iterator[tuple[int, dict[str, object]]]:
    """Yields (line, object) of a file of JSON objects: one a line, or over several lines, or in one array.

    Blank lines are skipped. An object over several lines has the number of its first.

    Args:
        path: as of `text_lines`.
        error_class: makes the error from its message.
        refused: takes objects that are broken, which are left out; None raises.

    Raises:
        ShortlistError: as `text_lines`, or there is something else; the message names the line.
    """
    lines = text_lines.text_lines(path, error_class)
    file = _JsonFile(path, error_class, refused)
    for number, text in lines:
        if not text.strip():
            continue
        opening = text.lstrip()
        # Only the first line tells: a cut line further on is broken, and shall not swallow those after it.
        if opening.startswith("[") or (opening.startswith("{") and _open_count(opening) > 0):
            yield from file.spread(itertools.chain([(number, text)], lines), in_array=opening.startswith("["))
        elif (columns := file.parse(number, text)) is not None:
            yield number, columns
        break
    for number, text in lines:
        if text.strip() and (columns := file.parse(number, text)) is not None:
            yield number, columns


def _open_count(text: str) -> int:
    """Returns how many brackets a text leaves open; strings in JSON never go over a line."""
    return sum(1 if mark in "[{" else -1 for mark in _BRACKETS.findall(text) if len(mark) == 1)


class _JsonFile:
    """Reader of the objects of one file."""

    def __init__(self, path: Path, error_class: FileError, refused: Refused | None) -> None:
        self._path = path
        self._error_class = error_class
        self._refused = refused

    def parse(self, number: int, text: str) -> dict[str, object] | None:
        """Reads one object that begins on line `number`; None where it is broken and refusals are collected."""
        try:
            columns = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_columns)
        except json.JSONDecodeError as error:
            # The error counts lines inside this text; the line after the last is no line of the file.
            inside = min(error.lineno, text.rstrip().count("\n") + 1)
            column = error.colno if inside == error.lineno else len(text.rstrip().rpartition("\n")[2]) + 1
            self._refuse(number + inside - 1, f"broken JSON: {error.msg} (column {column})", error)
            return None
        except (ValueError, RecursionError) as error:
            self._refuse(number, f"broken JSON: {error}", error)
            return None
        if not isinstance(columns, dict):
            self._refuse(number, _EXPECTED)
            return None
        return columns

    def _refuse(self, number: int, reason: str, cause: Exception | None = None) -> None:
        if self._refused is None:
            raise self._error_class(f"{self._path}, line {number}: {reason}") from cause
        self._refused(number, reason)

    def spread(self, lines: Iterator[tuple[int, str]], *, in_array: bool) -> Iterator[tuple[int, dict[str, object]]]:
        """Yields the objects of an array, or of objects over several lines, as they close."""
        parts: list[str] = []
        start = depth = size = last = 0
        array_open = opened = False
        for number, text in lines:
            last, place = number, 0
            for match in _BRACKETS.finditer(text):
                mark = match[0]
                if not depth:
                    self._check_between(text[place : match.start()], number)
                    place = match.start()
                    if mark == "[" and in_array and not opened:
                        array_open = opened = True
                        place = match.end()
                        continue
                    if mark == "]" and array_open:
                        array_open, place = False, match.end()
                        continue
                    if mark != "{" or (in_array and not array_open):
                        raise self._error_class(
                            f"{self._path}, line {number}: {_EXPECTED}, found {text[place : place + 40].strip()}"
                        )
                    start = number
                depth += 0 if len(mark) > 1 else 1 if mark in "[{" else -1
                if not depth:
                    columns = self.parse(start, "".join((*parts, text[place : match.end()])))
                    yield from () if columns is None else ((start, columns),)
                    parts, place, size = [], match.end(), 0
            if depth:
                parts.append(text[place:])
                size += len(text) - place
                if size > text_lines.MOST_LINE_BYTES:
                    raise self._broken(start, "the object is longer than 64 MiB; is a closing bracket missing?")
            else:
                self._check_between(text[place:], number)
        if depth:
            self.parse(start, "".join(parts))  # its error names the place
            raise self._broken(start, "the object is never closed")
        if array_open:
            raise self._broken(last, "the array is never closed; is the file cut off?")

    def _check_between(self, text: str, number: int) -> None:
        """Refuses anything but commas and spaces between two objects."""
        if text.strip(" \t\r\n,\ufeff"):
            raise self._error_class(f"{self._path}, line {number}: {_EXPECTED}, found {text.strip()[:40]}")

    def _broken(self, number: int, reason: str) -> ShortlistError:
        return self._error_class(f"{self._path}, line {number}: broken JSON: {reason}")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not valid JSON")


def _unique_columns(pairs: list[tuple[str, object]]) -> dict[str, object]:
    columns = dict(pairs)
    if len(columns) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return columns
