"""What a log line shows, and what it must not."""

import json
import subprocess
import sys

import pytest

from tests.support.running import ROOT

CANARY = "canary-7319"
FORCED = """
import asyncio, logging, sys, threading, warnings
import structlog
from domain.errors import FieldViolation, InvalidRequest, ReleaseRejected
from server.observability.logs import configure_logs

configure_logs(sys.argv[1], "debug")
canary = sys.argv[2]

def broken(text):
    try:
        {}[text]
    except KeyError as error:
        raise RuntimeError(f"cannot search {text}") from error

for log in (structlog.get_logger("gateway"), logging.getLogger("library"), logging.getLogger("server.part")):
    try:
        broken(canary)
    except RuntimeError as error:
        log.error("call failed", exc_info=True)
        log.error("call failed", exc_info=error)
        log.exception("call failed")
logging.getLogger("grpc._cython.cygrpc").error("Abort error unexpectedly suppressed: %s", canary)
logging.getLogger("asyncio").error(f"Task exception was never retrieved\\nfuture: <Task exception={canary!r}>")
structlog.get_logger("gateway").error("refused", exc_info=InvalidRequest(FieldViolation("text", canary)))
structlog.get_logger("gateway").error("refused", exc_info=ReleaseRejected("our own words"))
warnings.warn(f"a warning\\n{canary}")

async def lost():
    async def failing():
        broken(canary)
    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task

asyncio.run(lost(), debug=True)
thread = threading.Thread(target=broken, args=(canary,))
thread.start()
thread.join()

class Unraisable:
    def __del__(self):
        broken(canary)

Unraisable()
structlog.contextvars.bind_contextvars(request_id="r-1")
structlog.get_logger("call").info("with its request")
logging.getLogger("library").warning("with its request")
broken(canary)
"""


def run(log_format: str) -> list[str]:
    words = [sys.executable, "-c", FORCED, log_format, CANARY]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr.splitlines()


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_line_shows_the_text_of_an_exception(log_format: str) -> None:
    text = "\n".join(run(log_format))
    assert CANARY not in text
    assert "RuntimeError" in text
    assert "KeyError" in text
    assert "ReleaseRejected: our own words" in text
    assert "InvalidRequest" in text


def test_every_line_is_json_with_the_places_an_exception_came_from() -> None:
    lines = [json.loads(line) for line in run("json")]
    assert {"event", "level", "logger", "timestamp"} <= set.intersection(*(set(line) for line in lines))
    failed = [line for line in lines if line["event"] == "call failed"]
    assert len(failed) == 9
    for line in failed:
        assert line["raised"] == ["RuntimeError", "KeyError"]
        assert "broken" in line["raised_at"][-1]
    assert sum(line["event"] == "uncaught exception" for line in lines) >= 3
    assert "Task exception was never retrieved" in {line["event"] for line in lines}


def test_lines_of_a_call_carry_its_request_id() -> None:
    lines = [json.loads(line) for line in run("json")]
    assert [line["request_id"] for line in lines if line["event"] == "with its request"] == ["r-1", "r-1"]
