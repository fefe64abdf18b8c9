"""Lints the contract with buf, and compares it with the one last released: a part of `make lint`.

`make lint` has npm install buf. Without npm both are left out with the reason; the tests compare the contract with the
baseline in any case.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tools.contract_baseline import IMAGE

ROOT = Path(__file__).resolve().parent.parent
_INSTALLED = ROOT / ".buf" / "node_modules" / ".bin"


def find_buf() -> str | None:
    """Returns the program, from the checkout or from PATH; None where it is not installed."""
    return shutil.which("buf", path=str(_INSTALLED)) or shutil.which("buf")


def main() -> int:
    """Runs buf; returns its exit status, 0 where it is not installed."""
    buf = find_buf()
    if buf is None:
        sys.stdout.write("buf: left out, since it is not installed: make setup-system has npm, make buf has buf\n")
        return 0
    commands = ([buf, "lint"], [buf, "breaking", "--against", str(IMAGE)])
    return max(subprocess.run(command, cwd=ROOT, check=False).returncode for command in commands)


if __name__ == "__main__":
    sys.exit(main())
