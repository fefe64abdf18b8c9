"""Settings of a training run from a TOML file: one table a part, one key a setting."""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Settings of earlier versions, and what they became.
_RENAMED: Mapping[str, str] = {
    "time_budget_s": "max_seconds, a cap beside the budget `steps`",
}

PRESETS = Path(__file__).with_name("presets")


def read_preset(
    name_or_path: str, overrides: Sequence[str], sections: Mapping[str, type["DataclassInstance"]]
) -> dict[str, "DataclassInstance"]:
    """Returns the settings of every part, checked.

    Args:
        name_or_path: a preset that comes with the program (`default`, `quick` ...) or a TOML file.
        overrides: `part.setting=value` each, the value as TOML writes it; they win over the file.
        sections: the settings dataclass of each part; its defaults hold where the file is silent.

    Raises:
        ConfigurationError: no such file, broken TOML, an unknown part or setting, a value of another type.
    """
    raw = _read(name_or_path)
    for text in overrides:
        path, equals, value = text.partition("=")
        *tables, key = path.strip().split(".")
        if not (equals and tables and key):
            raise ConfigurationError(f'--set "{text}" is not part.setting=value, for example user_tower.epochs=5')
        table: dict[str, Any] = raw
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise ConfigurationError(f'--set "{text}": {name} has a value of its own, so nothing can be set in it')
        table[key] = _value(text, value.strip())
    unknown = sorted(set(raw) - set(sections))
    if unknown:
        raise ConfigurationError(f"unknown part {', '.join(unknown)}; parts are {', '.join(sections)}")
    return {part: _checked(part, kind, raw.get(part, {})) for part, kind in sections.items()}


def preset_names() -> list[str]:
    """Returns the presets that come with the program."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def _read(name_or_path: str) -> dict[str, dict[str, object]]:
    own = PRESETS / f"{name_or_path}.toml"
    path = own if own.is_file() else Path(name_or_path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"preset {name_or_path}: {error.strerror or error}; give a TOML file or one of {', '.join(preset_names())}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"preset {path}: broken TOML: {error}") from error
    for part, table in raw.items():
        if not isinstance(table, dict):
            raise ConfigurationError(f"preset {path}: {part} stands outside a table; settings belong under [part]")
    return raw


def _value(text: str, value: str) -> object:
    """Returns a TOML value; a bare word is a string, so that a shell needs no quotes inside quotes."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        if value.replace("-", "").replace("_", "").isalnum():
            return value
        raise ConfigurationError(f'--set "{text}": {value} is not a TOML value') from None


def _checked(part: str, kind: type["DataclassInstance"], values: Mapping[str, object]) -> "DataclassInstance":
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    renamed = [f"{name} is now {_RENAMED[name]}" for name in unknown if name in _RENAMED]
    if renamed:
        raise ConfigurationError(f"{part}: {', '.join(renamed)}; the preset is of an earlier version, change it")
    if unknown:
        raise ConfigurationError(f"{part} has no setting {', '.join(unknown)}; it has {', '.join(hints)}")
    typed = {name: _typed(f"{part}.{name}", hints[name], value) for name, value in values.items()}
    try:
        return kind(**typed)
    except ValueError as error:
        raise ConfigurationError(f"{part}: {error}") from error


def _typed(name: str, kind: object, value: object) -> object:
    """Returns the value as its type; a whole number passes for a number and a list for a tuple."""
    options = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    for option in options:
        typed = _plain(option, value)
        if typed is None:
            typed = _composed(name, option, value)
        if typed is not None:
            return typed
    wanted = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    raise ConfigurationError(f"{name} is {value!r}; expected {wanted}")


def _plain(option: object, value: object) -> object | None:
    """Returns a value that fits a single type, None where it does not."""
    if typing.get_origin(option) is typing.Literal:
        return value if value in typing.get_args(option) else None
    if option is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(option, type) and isinstance(value, option) and isinstance(value, bool) == (option is bool):
        return value
    return None


def _composed(name: str, option: object, value: object) -> object | None:
    """Returns a value made of others, None where it does not fit."""
    origin = typing.get_origin(option)
    if origin is tuple and isinstance(value, list):
        inner = typing.get_args(option)
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) == len(value):
            return tuple(_typed(name, kind, entry) for kind, entry in zip(kinds, value, strict=True))
    elif origin is Mapping and isinstance(value, dict):
        return {key: _typed(f"{name}.{key}", typing.get_args(option)[1], entry) for key, entry in value.items()}
    elif isinstance(option, type) and dataclasses.is_dataclass(option) and isinstance(value, dict):
        return _checked(name, option, value)
    return None


def settings_to_json(settings: Mapping[str, "DataclassInstance"]) -> dict[str, dict[str, object]]:
    """Returns the settings as plain values by part."""
    return {part: dataclasses.asdict(values) for part, values in settings.items()}
