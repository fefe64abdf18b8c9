"""The shell that ends a stub whose server is gone, without Triton: the real stub only now and then outlives it."""

import ast
import os
import signal
import subprocess
import time
from pathlib import Path

BACKEND = Path(__file__).parents[3] / "server" / "triton" / "backends" / "batched_model.py"


def watch_script() -> str:
    """The script as it stands in the backend, which can't be imported outside Triton."""
    for node in ast.parse(BACKEND.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "_WATCH":
            return node.value.value
    raise AssertionError("no _WATCH in the backend")


def test_a_process_that_ignores_its_parents_end_is_killed_once_the_parent_is_gone():
    orphan = subprocess.Popen(["sleep", "60"])
    try:
        parent = os.getpid()
        watch = subprocess.Popen(["/bin/sh", "-c", watch_script(), "watch", str(parent), str(orphan.pid)])
        time.sleep(1.2)
        assert orphan.poll() is None, "it was killed although its parent lives"
        watch.kill()
        # The same with a parent that it does not have (any more).
        subprocess.run(["/bin/sh", "-c", watch_script(), "watch", "1", str(orphan.pid)], timeout=9, check=False)
        assert orphan.wait(timeout=5) == -signal.SIGKILL
    finally:
        orphan.kill()
        orphan.wait()
        watch.wait()


def test_the_watch_ends_with_the_process_it_watches():
    child = subprocess.Popen(["sleep", "60"])
    watch = subprocess.Popen(["/bin/sh", "-c", watch_script(), "watch", str(os.getpid()), str(child.pid)])
    child.kill()
    child.wait()
    watch.wait(timeout=3)
