"""Runs Python as another user of the machine, who owns nothing."""

import os
import subprocess
import sys

import pytest

# The interpreter may stand in a folder that only its owner can enter, so the user is changed after the imports.
_BECOME = """
import os
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
"""


def as_nobody(imports: str, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a script as the user `nobody`; skips where this process may not become one.

    Args:
        imports: Python source that runs before the user is changed.
        script: Python source that runs after.
        arguments: its `sys.argv[1:]`.
    """
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    return subprocess.run(
        [sys.executable, "-I", "-B", "-c", imports + _BECOME + script, *arguments],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
