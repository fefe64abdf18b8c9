"""Run of bulk work: lines into a stream, outcomes into lines of JSON, again from where it ended."""

import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TextIO, TypeVar

from cli.bulk.lines import SURROGATE, BulkLine
from cli.flags.call import WrongArgument

if TYPE_CHECKING:
    from shortlist import EntryError

_Entry = TypeVar("_Entry")
_Outcome = TypeVar("_Outcome")

_MOST_FAILURES = 5
_PAUSE_S = 1.0
_REPORT_EVERY_S = 10.0
_BAD_LINE = "BAD_LINE"
_PASSING = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")


class BulkRun(Generic[_Entry, _Outcome]):
    """Work over the lines of a file; a line that is wrong or refused has an error and does not end the others."""

    def __init__(
        self,
        build: Callable[[BulkLine], _Entry],
        ask: "Callable[[Iterable[_Entry]], Iterator[_Outcome | EntryError]]",
        plain: Callable[[_Outcome], Mapping[str, object]],
    ) -> None:
        """Takes the three steps of a line.

        Args:
            build: makes the entry of a stream from a line; raises WrongArgument where it cannot.
            ask: begins a stream; yields an outcome for each entry, in order.
            plain: turns an outcome into what JSON holds.
        """
        self._build = build
        self._ask = ask
        self._plain = plain
        # gRPC takes the entries in a thread of its own, which may outlive its stream.
        self._lock = threading.Lock()
        self._stream = 0
        self._sent: deque[BulkLine] = deque()
        self._answer_count = 0
        self.done_count = self.error_count = 0

    def write(self, lines: Iterable[BulkLine], out: TextIO) -> None:
        """Writes a line of JSON for each line, in order but for those that were wrong before they were sent.

        A stream that fails, as when a gateway stops, is begun again with the lines that have no outcome yet.

        Raises:
            ShortlistCallError: the gateway never answered, or not any more, several times in a row.
        """
        from shortlist import ShortlistCallError

        waiting = iter(lines)
        failures = 0
        while True:
            before = self._answer_count
            entries = self._entries(self._begin(waiting), out)
            try:
                for outcome in self._ask(entries):
                    self._write(self._sent.popleft(), outcome, out)
            except ShortlistCallError as error:
                failures = 1 if self._answer_count > before else failures + 1
                if not self._answer_count or failures >= _MOST_FAILURES or error.code not in _PASSING:
                    raise
                sys.stderr.write(f"{error}; going on in {_PAUSE_S:g} s\n")
                time.sleep(_PAUSE_S)
            else:
                return

    def _begin(self, waiting: Iterator[BulkLine]) -> Iterator[BulkLine]:
        """Returns the lines of a new stream: those without an outcome, then the ones that wait; ends the one before."""
        with self._lock:
            self._stream += 1
            mine = self._stream
            again = list(self._sent)
            self._sent.clear()

        def lines() -> Iterator[BulkLine]:
            source = chain(again, waiting)
            while True:
                with self._lock:
                    line = next(source, None) if self._stream == mine else None
                    if line is None:
                        return
                    self._sent.append(line)
                yield line

        return lines()

    def _entries(self, lines: Iterator[BulkLine], out: TextIO) -> Iterator[_Entry]:
        for line in lines:
            try:
                if line.problem:
                    raise WrongArgument(line.problem)
                entry = self._build(line)
            except (WrongArgument, ValueError, TypeError) as error:
                if self._is_taken_back(line):
                    self._print(line, {"error": {"reason": _BAD_LINE, "message": str(error)}}, out)
                continue
            yield entry

    def _is_taken_back(self, line: BulkLine) -> bool:
        """Takes the last line back; False where its stream ended meanwhile: the next one has the line again."""
        with self._lock:
            is_last = bool(self._sent) and self._sent[-1] is line
            if is_last:
                self._sent.pop()
            return is_last

    def _write(self, line: BulkLine, outcome: "_Outcome | EntryError", out: TextIO) -> None:
        from shortlist import EntryError

        self._answer_count += 1
        if isinstance(outcome, EntryError):
            facts = {"reason": str(outcome.reason), "message": outcome.message}
            self._print(line, {"error": facts}, out)
        else:
            self._print(line, self._plain(outcome), out)

    def _print(self, line: BulkLine, facts: Mapping[str, object], out: TextIO) -> None:
        own = {} if line.id is None else {"id": line.id}
        text = _json({"line": line.number, **own, **facts}) + "\n"
        with self._lock:
            self.error_count += "error" in facts
            self.done_count += "error" not in facts
            out.write(text)


def _json(record: Mapping[str, object]) -> str:
    """Returns JSON that can be written as UTF-8: half a surrogate pair, which a line may have, stays an escape."""
    text = json.dumps(record, ensure_ascii=False)
    return text if text.isascii() or not SURROGATE.search(text) else json.dumps(record)


def run_bulk(run: "BulkRun[_Entry, _Outcome]", lines: Iterable[BulkLine], out: Path | None) -> int:
    """Runs over the lines; says on standard error how many there were.

    Args:
        run: the work.
        lines: all lines of the file.
        out: file to add to: lines that it has an outcome for are left out. None writes to standard output.

    Returns:
        0 where every line has an outcome that is not an error, else 1.

    Raises:
        WrongArgument: the file cannot be written, or is not one of outcomes.
    """
    done = set() if out is None else finished(out)
    rest = (line for line in lines if line.number not in done)
    with ExitStack() as stack:
        try:
            stream = sys.stdout if out is None else stack.enter_context(out.open("a", encoding="utf-8", buffering=1))
        except OSError as error:
            raise WrongArgument(f"--out {out}: {error.strerror or error}") from error
        run.write(_reported(rest), stream)
    before = f", {len(done):,} done before" if done else ""
    sys.stderr.write(f"{run.done_count:,} answered, {run.error_count:,} refused{before}\n")
    return 1 if run.error_count else 0


def finished(out: Path) -> set[int]:
    """Returns the numbers of the lines that a file of outcomes has without an error; cuts off half a last line.

    Raises:
        WrongArgument: it cannot be read or written, or is another file.
    """
    if not out.exists():
        return set()
    done = set()
    whole = 0
    try:
        with out.open("rb") as stream:
            for number, raw in enumerate(stream, 1):
                if not raw.endswith(b"\n"):
                    break
                whole += len(raw)
                try:
                    record = json.loads(raw)
                    if "error" not in record:
                        done.add(int(record["line"]))
                except (ValueError, TypeError, KeyError) as error:
                    raise WrongArgument(f"--out {out}, line {number}: not an outcome; give another file") from error
        with out.open("rb+") as stream:
            stream.truncate(whole)
    except OSError as error:
        raise WrongArgument(f"--out {out}: {error.strerror or error}") from error
    return done


def _reported(lines: Iterable[BulkLine]) -> Iterator[BulkLine]:
    """Passes lines on; says every ten seconds how far the file is read, and how fast."""
    started_s = written_s = time.monotonic()
    for count, line in enumerate(lines, 1):
        yield line
        now_s = time.monotonic()
        if now_s - written_s >= _REPORT_EVERY_S:
            written_s = now_s
            sys.stderr.write(f"line {line.number:,}: {count / (now_s - started_s):,.0f} lines/s\n")
