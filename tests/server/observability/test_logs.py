"""What a log line shows, and what it must not."""

import subprocess
import sys

import pytest

from tests.support.running import ROOT

FAILING = """
import logging, sys, structlog
from server.observability.logs import configure_logs

configure_logs(sys.argv[1], "info")

def answer(text):
    raise RuntimeError("the searcher broke")

for log in (structlog.get_logger("gateway"), logging.getLogger("library")):
    try:
        answer("private " * 2 + str(len(sys.argv)))
    except RuntimeError:
        log.error("call failed", exc_info=True)
"""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_logged_exception_shows_no_local_variables(log_format: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILING, log_format], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.count("RuntimeError: the searcher broke") == 2
    assert "private private 2" not in done.stderr
