"""Model folder of `shortlist train`, read and checked before anything is built from it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from core.ranking.blend import Blend
from core.retrieval.registry import TABLE_SOURCES
from core.retrieval.source import TableSource
from domain.errors import ModelNotUsable
from domain.model_folder import (
    BLEND,
    COLLABORATIVE,
    COLLABORATIVE_ITEMS,
    DATA,
    QUALITY,
    RANKER,
    RUN,
    TEXT_RANKER,
    THRESHOLDS,
    UNFINISHED,
    USER_TOWER,
    format_problem,
)
from domain.recommendation import Source
from export.parts.quality import Quality, read_quality

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class TrainedText:
    """Item texts that a model was trained on.

    Attributes:
        attributes: item attributes in the text template, in order.
        max_tokens: tokens at which texts were cut, special tokens included.
    """

    attributes: tuple[str, ...]
    max_tokens: int


@dataclass(frozen=True)
class ModelFolder:
    """Checked contents of a model folder.

    Attributes:
        path: the folder.
        item_ids: the catalogue that it was trained on, by row.
        run: how it was trained.
        data: what the data checker found; empty where it left no report.
        text: texts that it was trained on; None where it read none.
        quality: the figures it was accepted with; None where it has none.
        thresholds: least score in a recall source, by its name.
        neighbours: for collaborative recall.
        followers: what often comes next, as neighbours.
        popularity: the prior.
        blend: what each recall source counts; None where the ranker's step was not run.
    """

    path: Path
    item_ids: tuple[str, ...]
    run: Mapping[str, object]
    data: Mapping[str, object]
    quality: Quality | None
    text: TrainedText | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, TableSource] = field(default_factory=dict)
    blend: Blend | None = None

    def has(self, part: str) -> bool:
        """Returns whether the folder has this file or folder, and training did not find it worse than what stood."""
        return (self.path / part).exists() and part not in self.rejected()

    def rejected(self) -> tuple[str, ...]:
        """Returns the steps whose results training did not accept."""
        steps = self.run.get("steps")
        records = steps.items() if isinstance(steps, dict) else ()
        return tuple(name for name, value_ in records if isinstance(value_, dict) and value_.get("accepted") is False)


def open_model_folder(path: Path) -> ModelFolder:
    """Reads a model folder and checks that its tables fit one another.

    Raises:
        ModelNotUsable: it is none, training was interrupted, or a file is missing or damaged; the message names it.
    """
    if not (path / RUN).is_file():
        raise ModelNotUsable(f"{path} is not a model folder: it has no {RUN}; `shortlist train --out DIR` makes one")
    run = _json(path / RUN)
    problem = format_problem(run)
    if problem:
        raise ModelNotUsable(f"{path} {problem}")
    unfinished = sorted(path.glob(f"{UNFINISHED}*"))
    if unfinished:
        step = unfinished[0].name.removeprefix(UNFINISHED)
        raise ModelNotUsable(
            f"{path}: training was interrupted in the step {step}; give the same `shortlist train` again"
        )
    tables = {
        name: _read(path / COLLABORATIVE / source.file, source.load)
        for name, source in TABLE_SOURCES.items()
        if (path / COLLABORATIVE / source.file).exists()
    }
    by_row = tables or any((path / name).exists() for name in (USER_TOWER, RANKER, TEXT_RANKER))
    item_ids = _item_ids(path / COLLABORATIVE_ITEMS) if by_row else ()
    folder = ModelFolder(
        path=path,
        item_ids=item_ids,
        run=run,
        data=_json(path / DATA) if (path / DATA).exists() else {},
        text=_trained_text(path / RUN, run),
        quality=read_quality(path / QUALITY) if (path / QUALITY).exists() else None,
        thresholds=_thresholds(path / THRESHOLDS),
        tables=tables,
        blend=_read(path / BLEND, Blend.load) if (path / BLEND).exists() else None,
    )
    for table in tables.values():
        if len(table) != len(item_ids):
            raise ModelNotUsable(
                f"{path / COLLABORATIVE / table.file} is about {len(table)} items, {COLLABORATIVE_ITEMS} names "
                f"{len(item_ids)}; train again"
            )
    unknown = (Blend() if folder.blend is None else folder.blend).source_names() - _source_names()
    if unknown:
        raise ModelNotUsable(
            f"{path / BLEND} names {', '.join(sorted(unknown))}, which is not a recall source; train again"
        )
    return folder


def _trained_text(path: Path, run: Mapping[str, object]) -> TrainedText | None:
    raw = run.get("text")
    if raw is None:
        return None
    names = raw.get("attributes") if isinstance(raw, dict) else None
    most = raw.get("max_tokens") if isinstance(raw, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not isinstance(most, int):
        raise ModelNotUsable(f"{path}: text must hold attributes, a list of names, and max_tokens; train again")
    return TrainedText(tuple(names), most)


def _source_names() -> set[str]:
    return {*Source, *TABLE_SOURCES}


def _item_ids(path: Path) -> tuple[str, ...]:
    raw = _json_value(path)
    ids = raw.get("item_ids") if isinstance(raw, dict) else raw
    if not isinstance(ids, list) or not ids or not all(isinstance(value_, str) for value_ in ids):
        raise ModelNotUsable(f"{path} must hold a list of item ids; train again")
    if len(set(ids)) != len(ids):
        raise ModelNotUsable(f"{path} names an item twice; train again")
    return tuple(ids)


def _thresholds(path: Path) -> dict[str, float]:
    """Returns alpha by source: a number, or an object with `alpha`."""
    if not path.exists():
        return {}
    alphas = {}
    for name, value in _json(path).items():
        alpha = value.get("alpha") if isinstance(value, dict) else value
        if name not in _source_names() or (alpha is not None and not isinstance(alpha, int | float)):
            raise ModelNotUsable(
                f"{path}: {name} must be one of {', '.join(sorted(_source_names()))} with a number; train again"
            )
        if alpha is not None:
            alphas[name] = float(alpha)
    return alphas


def _read(path: Path, load: Callable[[Path], _Read]) -> _Read:
    try:
        return load(path)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ModelNotUsable(f"{path} is damaged ({error}); train again, or restore it") from error


def _json(path: Path) -> dict[str, object]:
    value = _json_value(path)
    if not isinstance(value, dict):
        raise ModelNotUsable(f"{path} must hold an object; train again, or restore it")
    return value


def _json_value(path: Path) -> object:
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelNotUsable(f"{path} is missing; train again, or restore it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelNotUsable(f"{path} is damaged ({error}); train again, or restore it") from error
    return value
