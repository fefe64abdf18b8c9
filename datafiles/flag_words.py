"""Flags as messages advise them, so that a shell takes them as they stand."""

import shlex


def column_flag(name: str, kind: str) -> str:
    """Returns the flag that sets the type of a column."""
    return f"--column {shlex.quote(f'{name}:{kind}')}"


def columns_flag(standard: str, name: str) -> str:
    """Returns the flag that names a column."""
    return f"--columns {shlex.quote(f'{standard}={name}')}"
