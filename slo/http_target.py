"""Other services, over HTTP with JSON: a mapping says how a call becomes a request and where the reply has the ids."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp

from domain.errors import ConfigurationError
from slo.calls import Call, CallKind
from slo.target import DEADLINE_EXCEEDED, OK, UNREADABLE_REPLY, Connection, Reply

_PLACEHOLDER = re.compile(r"\{(text|k|item_ids)\}")
_SERVED = (CallKind.TEXT, CallKind.HISTORY)


@dataclass(frozen=True, slots=True)
class HttpMapping:
    """Correspondence of a call to a request and of a reply to ids.

    A string that is one placeholder becomes the value itself: `{text}` a string, `{k}` a number, `{item_ids}` a list of
        strings.
    Inside longer strings and in the URL it becomes text.

    Attributes:
        body: JSON with placeholders; empty sends no body.
        ids_path: names and `*` (each entry of a list) joined by dots, such as `results.*.id`; empty does not read the
            reply.
        method: of HTTP.
        headers: name and value.
        connection_count: of each generator process, at most 900; calls beyond wait for one.
    """

    body: str = '{"text": "{text}", "k": "{k}"}'
    ids_path: str = ""
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    connection_count: int = 256

    def __post_init__(self) -> None:
        """Raises ConfigurationError for a body that is not JSON, or a number of connections out of its range."""
        try:
            json.loads(self.body or "null")
        except json.JSONDecodeError as error:
            raise ConfigurationError(
                f"--http-body is JSON with {{text}}, {{k}} and {{item_ids}} in strings, for example "
                f'{{"query": "{{text}}", "top": "{{k}}"}}; {error.msg} at column {error.colno}'
            ) from error
        if not 0 < self.connection_count <= 900:
            raise ConfigurationError("an HTTP peer takes 1 to 900 connections of each generator process")


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """Service at a URL.

    Attributes:
        url: with placeholders where the service takes its input there.
        mapping: how calls and replies are written.
    """

    url: str
    mapping: HttpMapping = HttpMapping()

    @property
    def name(self) -> str:
        """The URL."""
        return self.url

    async def connect(self, calls: tuple[Call, ...]) -> Connection:
        """Opens a session and makes every request's body.

        Raises:
            ConfigurationError: a call is neither a text's nor a history's.
        """
        for call in calls:
            if call.kind not in _SERVED:
                raise ConfigurationError(
                    f"{self.url}: an HTTP peer is asked by text or history; take {call.kind} out of the mix"
                )
        return _HttpConnection(self, calls)


class _HttpConnection:
    def __init__(self, target: HttpTarget, calls: tuple[Call, ...]) -> None:
        mapping = target.mapping
        template = json.loads(mapping.body) if mapping.body else None
        self._method, self._path = mapping.method, mapping.ids_path.split(".") if mapping.ids_path else []
        self._bodies = [None if template is None else json.dumps(filled(template, call)).encode() for call in calls]
        self._urls = [_filled_text(target.url, call, quote) for call in calls]
        headers = {"Content-Type": "application/json", **dict(mapping.headers)}
        connector = aiohttp.TCPConnector(limit=mapping.connection_count)
        self._session = aiohttp.ClientSession(connector=connector, headers=headers)

    async def send(self, call_index: int, timeout_s: float) -> Reply:
        limit = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._session.request(
                self._method, self._urls[call_index], data=self._bodies[call_index], timeout=limit
            ) as response:
                raw = await response.read()
        except TimeoutError:
            return Reply(DEADLINE_EXCEEDED)
        except aiohttp.ClientError:
            return Reply("UNAVAILABLE")
        return self._read(response.status, raw)

    async def close(self) -> None:
        await self._session.close()

    def _read(self, status: int, raw: bytes) -> Reply:
        if not 200 <= status < 300:
            return Reply(f"HTTP_{status}")
        if not self._path:
            return Reply(OK)
        try:
            return Reply(OK, item_ids=tuple(map(str, ids_at(json.loads(raw), self._path))))
        except (ValueError, LookupError, TypeError):
            return Reply(UNREADABLE_REPLY)


def filled(template: object, call: Call) -> object:
    """Returns the JSON value with the call's values in place of the placeholders."""
    match template:
        case dict():
            return {name: filled(value, call) for name, value in template.items()}
        case list():
            return [filled(value, call) for value in template]
        case "{k}":
            return call.k
        case "{item_ids}":
            return list(call.item_ids)
        case str():
            return _filled_text(template, call, str)
    return template


def _filled_text(template: str, call: Call, quoted: Callable[[str], str]) -> str:
    return _PLACEHOLDER.sub(lambda found: quoted(_text(call, found[1])), template)


def ids_at(reply: object, path: list[str]) -> list[object]:
    """Returns the values at a path of a JSON value; `*` goes through a list.

    Raises:
        LookupError, TypeError: the reply has no such path.
    """
    reached = [reply]
    for name in path:
        if name == "*":
            reached = [inner for value in reached for inner in _entries(value)]
        else:
            reached = [_member(value, name) for value in reached]
    if len(reached) == 1 and isinstance(reached[0], list):
        return list(reached[0])
    return reached


def _entries(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _member(value: object, name: str) -> object:
    if isinstance(value, dict):
        return value[name]
    if isinstance(value, list):
        return value[int(name)]
    raise TypeError("neither an object nor a list")


def _text(call: Call, name: str) -> str:
    match name:
        case "k":
            return str(call.k)
        case "item_ids":
            return ",".join(call.item_ids)
    return call.text
