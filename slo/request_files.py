"""Files of queries, histories and recorded calls, and the recording of a run's calls."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from datafiles.json_records import json_objects
from datafiles.judgements import SearchQuery, read_queries
from datafiles.text_lines import text_lines
from domain.durable import write_atomic
from domain.errors import ConfigurationError
from slo.calls import Call, CallKind, batch_call, embed_call, rank_call, recorded_call, text_call

_Answers = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class CallSizes:
    """Sizes of the calls that are made of queries.

    Attributes:
        k: results of a call.
        batch: texts of a BatchRecommend.
        candidates: texts that a Rank orders.
    """

    k: int = 10
    batch: int = 16
    candidates: int = 20


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded traffic.

    Attributes:
        times_s: float64[n], ascending, from any origin.
        calls: one for each time, or none where only times were recorded.
    """

    times_s: np.ndarray
    calls: tuple[Call, ...]


def read_texts(path: Path) -> tuple[SearchQuery, ...]:
    """Reads queries: .txt with one a line (the line number is its id), else as `read_queries`.

    Raises:
        ConfigurationError: the file cannot be read or has no query.
    """
    if path.name.removesuffix(".gz").endswith(".txt"):
        lines = ((number, line.strip()) for number, line in text_lines(path, ConfigurationError))
        queries = tuple(SearchQuery(str(number), line) for number, line in lines if line)
        if not queries:
            raise ConfigurationError(f"{path}: no queries; write one on each line")
        return queries
    return read_queries(path)


def calls_of_queries(
    queries: Sequence[SearchQuery], kinds: Iterable[CallKind], sizes: CallSizes, answers: _Answers
) -> list[Call]:
    """Makes the calls of the kinds that need nothing but queries.

    Args:
        queries: at least one.
        kinds: what to make; histories are left out.
        sizes: of the calls.
        answers: the relevant item ids by query id; may be empty.
    """
    calls: list[Call] = []
    texts = [query.text for query in queries]
    for kind in kinds:
        if kind == CallKind.TEXT:
            calls += [text_call(query.text, sizes.k, answers.get(query.id, frozenset())) for query in queries]
        elif kind == CallKind.EMBED:
            calls += map(embed_call, texts)
        elif kind == CallKind.BATCH:
            calls += [batch_call(texts[at : at + sizes.batch], sizes.k) for at in range(0, len(texts), sizes.batch)]
        elif kind == CallKind.RANK:
            following = [*texts, *texts][: len(texts) + min(sizes.candidates, len(texts))]
            calls += [
                rank_call(text, following[place + 1 : place + 1 + sizes.candidates] or [text], sizes.k)
                for place, text in enumerate(texts)
            ]
    return calls


def read_histories(path: Path, k: int) -> list[Call]:
    """Reads histories: JSON lines with `events` (objects with `item_id` and `kind`, optionally `time`) or `item_ids`.

    Other columns are ignored, so that files of users can be taken as they are.

    Raises:
        ConfigurationError: a line has neither, or an event is not one; the message names the line.
    """
    calls = []
    for line, columns in json_objects(path, ConfigurationError):
        try:
            calls.append(recorded_call(CallKind.HISTORY, {**_history(columns), "k": k}))
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}, line {line}: {error}") from error
    if not calls:
        raise ConfigurationError(f"{path}: no histories; write one JSON object on each line")
    return calls


def _history(columns: Mapping[str, object]) -> dict[str, object]:
    events, ids = columns.get("events", []), columns.get("item_ids", [])
    if not isinstance(events, list) or not isinstance(ids, list) or not [*events, *ids]:
        raise ConfigurationError('a history has a list "events" or a list "item_ids", and at least one entry')
    taken = []
    for event in events:
        if not isinstance(event, dict) or not {"item_id", "kind"} <= event.keys():
            raise ConfigurationError(f'an event has "item_id" and "kind", not {event!r}')
        kept = {name: event[name] for name in ("item_id", "time") if name in event}
        taken.append({**kept, "kind": f"EVENT_KIND_{str(event['kind']).upper()}"})
    return {"events": taken, "item_ids": ids}


def read_recording(path: Path) -> Recording:
    """Reads recorded calls: JSON lines with `at_s` (seconds) or `time` (RFC 3339), and optionally `call` and `request`.

    `call` is a kind of `CallKind`, `request` the contract's request in its JSON form. Either every line has both or
    none has.

    Raises:
        ConfigurationError: the file is empty, a line cannot be read, or times go back; the message names the line.
    """
    times, calls = [], []
    for line, columns in json_objects(path, ConfigurationError):
        try:
            times.append(_seconds(columns))
            request = columns.get("request")
            if isinstance(request, dict):
                calls.append(recorded_call(str(columns.get("call", CallKind.TEXT)), request))
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}, line {line}: {error}") from error
        if len(times) > 1 and times[-1] < times[-2]:
            raise ConfigurationError(f"{path}, line {line}: its time lies before the line above; sort the file by time")
    if not times or len(calls) not in (0, len(times)):
        raise ConfigurationError(f'{path}: needs at least one line, and "request" on every line or on none')
    return Recording(np.array(times), tuple(calls))


def _seconds(columns: Mapping[str, object]) -> float:
    at, time = columns.get("at_s"), columns.get("time")
    if isinstance(at, int | float) and not isinstance(at, bool):
        return float(at)
    if isinstance(time, str):
        try:
            return datetime.fromisoformat(time).timestamp()
        except ValueError:
            pass
    raise ConfigurationError('needs "at_s", a number of seconds, or "time", such as 2026-01-31T08:00:00Z')


def write_recording(path: Path, offsets_s: Iterable[float], calls: Iterable[Call]) -> None:
    """Writes the calls of a run so that `read_recording` gives them back.

    Raises:
        OSError: the file cannot be written.
    """
    lines = (
        json.dumps({"at_s": round(float(offset), 6), "call": call.kind, "request": call.request()}, ensure_ascii=False)
        for offset, call in zip(offsets_s, calls, strict=True)
    )
    write_atomic(path, "".join(itertools.chain.from_iterable((line, "\n") for line in lines)))
