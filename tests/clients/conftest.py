"""The Node.js client in a copy of what a checkout holds, with its packages installed."""

import json
import shutil
import subprocess

import pytest

from tests.support.running import ROOT


class NodeClient:
    """`recommend.js` in a folder with its packages installed; `run` works against any gateway."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, *arguments):
        command = ["node", "recommend.js", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60)

    def recommend(self, address, text, *arguments):
        done = self.run("--address", address, "--text", text, "--json", "--deadline-ms", "10000", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def node_client(tmp_path_factory):
    copy = tmp_path_factory.mktemp("checkout")
    folder = copy / "clients" / "node"
    shutil.copytree(ROOT / "protos", copy / "protos")
    shutil.copytree(ROOT / "clients" / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts"], cwd=folder, capture_output=True, text=True, check=False, timeout=240
    )
    if any(code in done.stderr for code in ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED")):
        pytest.skip("npm reaches no package registry")
    assert done.returncode == 0, done.stderr
    return NodeClient(folder)
