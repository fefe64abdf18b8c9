"""Reader of the settings: defaults, file, environment and flags, in this order."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from domain.addresses import address_problem
from domain.errors import ConfigurationError
from server.settings.checks import check
from server.settings.table import Settings

_PREFIX = "SHORTLIST_"
# Kubernetes sets these in every pod beside a Service named "shortlist".
_OF_KUBERNETES = re.compile(
    r"SHORTLIST_PORT=tcp://.*|SHORTLIST_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_TCP(_ADDR|_PORT|_PROTO)?)=.*",
    re.DOTALL,
)
# What a value has to be, for each kind of refusal of the checks of a field.
_WORDS = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false"),
    "string_type": "a text",
    "path_type": "a path",
    "string_too_short": "a text of {min_length} characters or more",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
}


@dataclass(frozen=True)
class Configuration:
    """Settings with the origin of each.

    Attributes:
        settings: the values in force.
        sources: for each setting: "default", a file's path, an environment variable's name, or a flag.
    """

    settings: Settings
    sources: Mapping[str, str]


def load_configuration(file: Path | None, environment: Mapping[str, str], flags: Mapping[str, object]) -> Configuration:
    """Merges the sources; a later one wins: defaults, file, environment (`SHORTLIST_MAX_K`), flags (`--max-k`).

    Variables that Kubernetes sets for a Service named "shortlist" are passed over.

    Args:
        file: a TOML file, or None.
        environment: usually `os.environ`.
        flags: values of the flags on the command line, by setting's name.

    Raises:
        ConfigurationError: a setting is unknown or out of its range; the message names it and its source.
    """
    values: dict[str, object] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    for name, value in _from_file(file).items():
        values[name], sources[name] = value, str(file)
    for variable, value in environment.items():
        if variable.startswith(_PREFIX) and not _OF_KUBERNETES.fullmatch(f"{variable}={value}"):
            name = variable.removeprefix(_PREFIX).lower()
            values[name], sources[name] = value, variable
    for name, value in flags.items():
        values[name], sources[name] = value, f"--{name.replace('_', '-')}"
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_explained(one, sources) for one in error.errors())) from error
    check(settings)
    return Configuration(settings, sources)


def _from_file(file: Path | None) -> dict[str, object]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be used as configuration: {error}") from error


def _explained(error: Mapping[str, object], sources: Mapping[str, str]) -> str:
    name = str(error["loc"][0])  # type: ignore[index]
    source = sources.get(name, name)
    if error["type"] == "extra_forbidden":
        return f"unknown setting {name} ({source}); `shortlist serve --print-config` lists all"
    field = Settings.model_fields[name]
    if error["type"] == "string_pattern_mismatch":
        return f"{name} ({source}): {_unlike(name, str(error['input']))}"
    return f"{name} ({source}): expected {_expected(error)}, found {error['input']!r} ({field.description})"


def _expected(error: Mapping[str, object]) -> str:
    """Returns in plain words what a setting's value has to be."""
    words = _WORDS.get(str(error["type"]))
    if words is None:
        return str(error["msg"])
    limits: Mapping[str, float] = error.get("ctx") or {}  # type: ignore[assignment]
    return words.format_map(
        {
            name: f"{end:,.12g}" if isinstance(end, float) else f"{end:,}"
            for name, end in limits.items()
            if name in words
        }
    )


def _unlike(name: str, value: str) -> str:
    """Returns in words why a text is not one that a setting takes."""
    description = Settings.model_fields[name].description
    if name in ("listen", "metrics_listen", "triton", "follow"):
        problem = address_problem(value, sockets=name in ("listen", "triton"))
        return f"{problem or 'it is not HOST:PORT'}; found {value!r} ({description})"
    choices = _choices(name)
    near = difflib.get_close_matches(value, choices, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"{value!r} is not one of {', '.join(choices)}{meant} ({description})"


def _choices(name: str) -> list[str]:
    """Returns the words that a setting takes, as its pattern has them."""
    for entry in Settings.model_fields[name].metadata:
        pattern = getattr(entry, "pattern", None)
        if isinstance(pattern, str) and pattern.startswith("^("):
            return pattern.removeprefix("^(").removesuffix(")$").split("|")
    return []


def process_environment() -> Mapping[str, str]:
    """Returns this process's environment; nothing but the configuration reads it."""
    return os.environ
