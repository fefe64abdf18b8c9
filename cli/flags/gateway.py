"""Flags of `serve` and `up`: one for each setting of the gateway."""

import argparse
import typing
from pathlib import Path

from cli.terminal.output import is_piped, print_ndjson, print_rows
from server.settings import Configuration, Settings, load_configuration, process_environment


def add_gateway_flags(parser: argparse.ArgumentParser) -> None:
    """Declares `--config`, `--print-config` and a flag for each setting."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of settings")
    parser.add_argument("--print-config", action="store_true", help="print each setting with its source, and end")
    parser.add_argument("--json", action="store_true", help="with --print-config: a line of JSON for each setting")
    for name, field in Settings.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        default = "" if field.default is None or field.annotation is bool else f" ({field.default})"
        text = f"{field.description}{default}".replace("%", "%%")
        if field.annotation is bool:
            parser.add_argument(flag, action="store_true", default=None, help=text)
        else:
            parser.add_argument(flag, metavar=_metavar(field.annotation), help=text)


def configuration_of(args: argparse.Namespace) -> Configuration:
    """Merges file, environment and flags.

    Raises:
        ConfigurationError: a setting is unknown or out of its range.
    """
    flags = {name: getattr(args, name) for name in Settings.model_fields if getattr(args, name) is not None}
    return load_configuration(args.config, process_environment(), flags)


def print_configuration(configuration: Configuration, *, as_json: bool) -> None:
    """Prints each setting, its value and where it came from."""
    if as_json:
        values = configuration.settings.model_dump(mode="json")
        print_ndjson(
            {"setting": name, "value": values[name], "source": configuration.sources[name]}
            for name in Settings.model_fields
        )
        return
    if is_piped():
        settings = configuration.settings
        names = Settings.model_fields
        print_rows((name, getattr(settings, name), configuration.sources[name]) for name in names)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("setting", "value", "source", box=None)
    for name in Settings.model_fields:
        value = getattr(configuration.settings, name)
        table.add_row(name, "" if value is None else escape(str(value)), escape(configuration.sources[name]))
    Console(width=160).print(table)


def _metavar(annotation: object) -> str:
    kinds = {int: "N", float: "X", str: "S", Path: "PATH"}
    options = typing.get_args(annotation) or (annotation,)
    return next((kinds[option] for option in options if option in kinds), "S")
