"""Structured logs on stderr: JSON lines, or readable ones on a terminal. Standard-library loggers go the same way.

The text of an exception may hold what a caller wrote, or what another program answered. So a line shows the types of an
exception and where it was raised; messages are shown of our own errors alone, and of other libraries' lines only the
first line, without what was put into it.
"""

import logging
import sys
import threading
import traceback
from contextlib import suppress
from types import TracebackType

import structlog
from structlog.typing import EventDict, Processor

from domain.errors import InvalidRequest, NotServed, ShortlistError

_OURS = frozenset({"server", "cli", "core", "domain"})
_MOST_FRAMES = 12


def configure_logs(log_format: str, level: str) -> None:
    """Sets up logging for the process, warnings and uncaught exceptions included.

    Args:
        log_format: "json", "console", or "auto" (console on a terminal).
        level: least severe level, in lower case.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    last: Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    # Our own lines are written at once: by way of the standard library a line costs four times as much.
    structlog.configure(
        processors=[*shared, _without_exception_texts, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _without_foreign_texts],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_exception_texts, last],
        )
    )
    # On the handler too: some libraries set their own loggers' levels.
    handler.setLevel(level.upper())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.raiseExceptions = False  # a line that cannot be formatted would be printed with its arguments
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda failed: _log_uncaught(failed.exc_type, failed.exc_value, failed.exc_traceback)
    sys.unraisablehook = lambda failed: _log_uncaught(failed.exc_type, failed.exc_value, failed.exc_traceback)


class _Lines:
    """Lines of one logger on stderr. One that cannot be written is lost, and nothing else."""

    def __init__(self, name: str = "root") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        """Writes a line."""
        with suppress(OSError, ValueError):  # closed, or a pipe that nobody reads
            sys.stderr.write(f"{line}\n")

    debug = info = warning = error = critical = exception = msg


def message_of(error: BaseException) -> str:
    """Returns what a log may say of an error: its message where it is ours and not about a request, else its type."""
    ours = isinstance(error, ShortlistError) and not isinstance(error, InvalidRequest | NotServed)
    return f"{_name(type(error))}: {error}" if ours else _name(type(error))


def _without_foreign_texts(_: object, __: str, event: EventDict) -> EventDict:
    """Keeps of a line that another library logged its first line, without arguments."""
    record: logging.LogRecord = event["_record"]
    if record.name.partition(".")[0] not in _OURS:
        event["event"] = str(record.msg).partition("\n")[0]
    return event


def _without_exception_texts(_: object, __: str, event: EventDict) -> EventDict:
    """Replaces an exception by the types of its chain and the places it came from."""
    info = event.pop("exc_info", None)
    event.pop("stack_info", None)
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else sys.exc_info()[1]
    if info and error is not None:
        event["raised"] = _chain(error)
        event["raised_at"] = _places(error)
    return event


def _chain(error: BaseException) -> list[str]:
    chain: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(chain) < _MOST_FRAMES:
        chain.append(message_of(seen))
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return chain


def _places(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt) or error is None:
        return
    structlog.get_logger("server").critical("uncaught exception", exc_info=(kind, error, trace))


def _name(kind: type[BaseException]) -> str:
    return (
        kind.__qualname__
        if kind.__module__ in ("builtins", "domain.errors")
        else f"{kind.__module__}.{kind.__qualname__}"
    )
