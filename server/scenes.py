"""Reads and checks the file of scenes, TOML; docs/scenes.md has its lines."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from domain.arrangement import Arrangement
from domain.condition import Condition, misfits
from domain.errors import ConfigurationError
from domain.item import AttributeType
from domain.recommendation import Source
from domain.release_folder import SCENES as FILE_NAME
from domain.rule_words import boost_from, cap_from, condition_from, pin_from
from domain.scene import FallbackList, Scene, Scenes

_Rule = TypeVar("_Rule")

_SCENE_KEYS = ("k", "sources", "conditions", "preferences", "personalization", "arrangement", "fallback")
_SHARES = ("diversity", "new_share", "exploration", "novelty")
_RULES = ("caps", "pins", "boosts")
# What a history, or nothing at all, may be looked up in; a text has sources of its own.
_SOURCES = tuple(source.value for source in Source if source not in (Source.FILL, Source.SEMANTIC_TEXT, Source.LEXICAL))
_WITHOUT_HISTORY = (Source.POPULAR.value, Source.FRESH.value, Source.TRENDING.value)
# Counted by the gateway; no release has it.
_OF_THE_GATEWAY = {Source.TRENDING.value}
_MOST_K = 1_000
_DAY_S = 86_400


def load_scenes(path: Path, types: Mapping[str, AttributeType] | None = None) -> Scenes:
    """Reads a file of scenes.

    Args:
        path: of the file.
        types: of a release's attributes; where there are none, the values of conditions tell.

    Raises:
        ConfigurationError: it cannot be read, or a line is not as it should be; all such lines are named.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be used as a file of scenes: {error}") from error
    reader = _Reader(types or {})
    scenes = reader.scenes(raw)
    if reader.problems:
        raise ConfigurationError("\n".join(f"{path}: {problem}" for problem in reader.problems))
    return scenes


def read_scenes(path: Path | None, releases: Path, types: Mapping[str, AttributeType] | None = None) -> Scenes | None:
    """Reads the scenes of a gateway: a file, else `scenes.toml` beside the releases; None for those of the release.

    Args:
        path: of the file; None for the one beside the releases.
        releases: folder of the releases.
        types: as for `load_scenes`.

    Raises:
        ConfigurationError: as `load_scenes`.
    """
    beside = releases / FILE_NAME
    if path is None and not beside.exists():
        return None
    return load_scenes(path or beside, types)


@dataclass(frozen=True)
class CatalogueFacts:
    """A catalogue as scenes are checked against it.

    Attributes:
        attribute_types: of its attributes.
        has_item: whether it has an id.
        sources: names of the release's recall sources; None where they are not known.
    """

    attribute_types: Mapping[str, AttributeType]
    has_item: Callable[[str], bool]
    sources: frozenset[str] | None = None


def problems_with(scenes: Scenes, catalogue: CatalogueFacts) -> list[str]:
    """Returns what in the scenes does not fit a catalogue: attributes, their types, item ids, sources."""
    problems = []
    for scene in scenes.by_name.values():
        where = f"scenes.{scene.name}"
        boosted = [boost.condition for boost in scene.arrangement.boosts if boost.condition is not None]
        for condition in (*scene.conditions, *scene.preferences, *boosted):
            problems += _misfit(condition, catalogue, where)
        for cap in scene.arrangement.caps:
            if cap.attribute not in catalogue.attribute_types:
                problems.append(f'{where}: a cap names "{cap.attribute}", an attribute that no item has')
        ids = [pin.item_id for pin in scene.arrangement.pins]
        ids += [item_id for boost in scene.arrangement.boosts for item_id in boost.item_ids]
        problems += [
            f'{where}: "{item_id}" is not in the catalogue' for item_id in ids if not catalogue.has_item(item_id)
        ]
        if scene.fallback is not None:
            problems += [
                f'lists.{scene.fallback.name}: "{item_id}" is not in the catalogue'
                for item_id in scene.fallback.item_ids
                if not catalogue.has_item(item_id)
            ]
        named = (scene.sources or frozenset()) - _OF_THE_GATEWAY
        missing = sorted(named - (catalogue.sources or named))
        problems += [f'{where}: the release has no source "{name}"' for name in missing]
    return list(dict.fromkeys(problems))


def scenes_with(scenes: Scenes, source: Source) -> list[str]:
    """Returns the names of the scenes that name a source, also in their fallback lists."""
    found = []
    for scene in scenes.by_name.values():
        listed = () if scene.fallback is None else scene.fallback.sources
        if source.value in (*(scene.sources or ()), *listed):
            found.append(scene.name)
    return found


def _misfit(condition: Condition, catalogue: CatalogueFacts, where: str) -> list[str]:
    wrong = misfits(condition, catalogue.attribute_types)
    return [f'{where}: a condition on "{condition.attribute}": {description}' for _, description in wrong]


class _Reader:
    """Reads the tables of a file and collects what is wrong with them."""

    def __init__(self, types: Mapping[str, AttributeType]) -> None:
        self._condition = partial(condition_from, types=types)
        self._boost = partial(boost_from, types=types)
        self.problems: list[str] = []

    def scenes(self, raw: Mapping[str, object]) -> Scenes:
        """Returns the scenes of a file."""
        self._known(raw, ("default", "lists", "scenes"), "the file")
        lists = {name: self._list(name, table) for name, table in self._tables(raw, "lists").items()}
        found = {name: self._scene(name, table, lists) for name, table in self._tables(raw, "scenes").items()}
        if not found:
            self.problems.append("there is no table [scenes.NAME]")
        default = raw.get("default", "")
        if default and default not in found:
            self.problems.append(f'default is "{default}", which is none of the scenes: {", ".join(found)}')
        return Scenes(found, str(default))

    def _tables(self, raw: Mapping[str, object], name: str) -> dict[str, Mapping[str, object]]:
        value = raw.get(name, {})
        tables = value if isinstance(value, dict) else {}
        if not isinstance(value, dict) or not all(isinstance(table, dict) for table in value.values()):
            self.problems.append(f"{name} must hold tables, [{name}.NAME]")
            return {}
        return tables

    def _list(self, name: str, raw: Mapping[str, object]) -> FallbackList:
        where = f"lists.{name}"
        self._known(raw, ("items", "sources"), where)
        ids, sources = self._words(raw, "items", where), self._words(raw, "sources", where)
        if bool(ids) is bool(sources):
            self.problems.append(f"{where} needs either items or sources")
        if len(set(ids)) < len(ids):
            self.problems.append(f"{where}.items names an item twice")
        self._among(sources, _WITHOUT_HISTORY, f"{where}.sources")
        return FallbackList(name, ids, sources)

    def _scene(self, name: str, raw: Mapping[str, object], lists: Mapping[str, FallbackList]) -> Scene:
        where = f"scenes.{name}"
        self._known(raw, _SCENE_KEYS, where)
        sources = self._words(raw, "sources", where)
        self._among(sources, _SOURCES, f"{where}.sources")
        fallback = raw.get("fallback")
        if fallback is not None and fallback not in lists:
            known = ", ".join(lists) or "none"
            self.problems.append(f'{where}.fallback is "{fallback}", which is none of the lists: {known}')
        return Scene(
            name=name,
            k=self._whole(raw, "k", where),
            sources=frozenset(sources) if "sources" in raw else None,
            conditions=self._rules(raw, "conditions", where, self._condition),
            preferences=self._rules(raw, "preferences", where, self._condition),
            personalization=self._share(raw, "personalization", where),
            arrangement=self._arrangement(raw, f"{where}.arrangement"),
            fallback=lists.get(str(fallback)),
        )

    def _arrangement(self, scene: Mapping[str, object], where: str) -> Arrangement:
        raw = scene.get("arrangement", {})
        if not isinstance(raw, dict):
            self.problems.append(f"{where} must be a table")
            return Arrangement()
        self._known(raw, (*_SHARES, *_RULES, "new_days"), where)
        days = raw.get("new_days")
        if days is not None and (not _is_number(days) or days <= 0):
            self.problems.append(f"{where}.new_days must be a number above 0")
            days = None
        caps = self._rules(raw, "caps", where, cap_from)
        if len({cap.attribute for cap in caps}) < len(caps):
            self.problems.append(f"{where}.caps names an attribute twice")
        return Arrangement(
            caps=caps,
            pins=self._rules(raw, "pins", where, pin_from),
            boosts=self._rules(raw, "boosts", where, self._boost),
            new_within_s=None if days is None else float(days) * _DAY_S,
            diversity=self._share(raw, "diversity", where),
            new_share=self._share(raw, "new_share", where),
            exploration=self._share(raw, "exploration", where),
            novelty=self._share(raw, "novelty", where),
        )

    def _rules(
        self, raw: Mapping[str, object], name: str, where: str, read: Callable[[str], _Rule]
    ) -> tuple[_Rule, ...]:
        rules = []
        for words in self._words(raw, name, where):
            try:
                rules.append(read(words))
            except ValueError as error:
                self.problems.append(f"{where}.{name}: {error}")
        return tuple(rules)

    def _words(self, raw: Mapping[str, object], name: str, where: str) -> tuple[str, ...]:
        value = raw.get(name, [])
        if isinstance(value, list) and all(isinstance(word, str) and word for word in value):
            return tuple(value)
        self.problems.append(f"{where}.{name} must be a list of texts")
        return ()

    def _share(self, raw: Mapping[str, object], name: str, where: str) -> float | None:
        value = raw.get(name)
        if value is None or (_is_number(value) and 0 <= value <= 1):  # type: ignore[operator]
            return None if value is None else float(value)  # type: ignore[arg-type]
        self.problems.append(f"{where}.{name} must be a number from 0 to 1")
        return None

    def _whole(self, raw: Mapping[str, object], name: str, where: str) -> int | None:
        value = raw.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_K):
            return value
        self.problems.append(f"{where}.{name} must be a whole number from 1 to {_MOST_K:,}")
        return None

    def _known(self, raw: Mapping[str, object], names: tuple[str, ...], where: str) -> None:
        unknown = [name for name in raw if name not in names]
        self.problems += [f'{where} has an unknown line "{name}"; known are {", ".join(names)}' for name in unknown]

    def _among(self, given: tuple[str, ...], known: tuple[str, ...], where: str) -> None:
        self.problems += [
            f'{where}: unknown "{name}"; known are {", ".join(known)}' for name in given if name not in known
        ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
