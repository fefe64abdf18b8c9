"""C#: the messages that protoc makes. Neither Debian, npm nor PyPI carries the libraries that a client would link."""

import shutil
import subprocess

import pytest

from tests.support.running import ROOT

PROTOS = ROOT / "protos"
MISSING = [tool for tool in ("protoc", "mcs") if shutil.which(tool) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed (make setup-system)")


def test_the_messages_are_valid_c_sharp(tmp_path):
    files = [str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto")]
    subprocess.run(["protoc", "-I", ".", f"--csharp_out={tmp_path}", *files], cwd=PROTOS, check=True)
    sources = sorted(tmp_path.glob("*.cs"))
    assert len(sources) == len(files)
    assert all("namespace Shortlist.V1 {" in source.read_text(encoding="utf-8-sig") for source in sources)
    # Syntax and clashes of names, such as a field `equals` beside the method Equals; types need the missing library.
    done = subprocess.run(
        ["mcs", "--parse", *map(str, sources)], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
