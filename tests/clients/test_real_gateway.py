"""Clients that know nothing but the contract, against the real gateway, Triton and index."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shortlist import Client
from tests.support.running import ROOT, RunningGateway

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]

QUERIES = ("good quality at a fair price", "a quiet film about the sea", "strong coffee in the morning")

PLAIN_CLIENT = """
import json, sys
import grpc
from shortlist.v1 import recommender_pb2, recommender_pb2_grpc
assert "shortlist.client" not in sys.modules
stub = recommender_pb2_grpc.RecommenderServiceStub(grpc.insecure_channel(sys.argv[1]))
for text in sys.argv[2:]:
    reply = stub.Recommend(recommender_pb2.RecommendRequest(text=text, k=5), timeout=5)
    print(json.dumps([item.id for item in reply.items]))
"""


def expected(client: Client) -> list[list[str]]:
    return [[item.id for item in client.recommend(text, k=5).items] for text in QUERIES]


def test_a_client_made_from_the_contract_with_plain_grpc_tools(
    gateway: RunningGateway, client: Client, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    files = [str(path.relative_to(tmp_path / "protos")) for path in (tmp_path / "protos").rglob("*.proto")]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-Iprotos", "--python_out=.", "--grpc_python_out=.", *files]
    subprocess.run(protoc, cwd=tmp_path, check=True)
    for folder in ("shortlist", "shortlist/v1"):  # or Python would prefer the installed package
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "plain.py").write_text(PLAIN_CLIENT)
    call = [sys.executable, "plain.py", gateway.address, *QUERIES]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == expected(client)
