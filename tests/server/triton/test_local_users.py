"""What another user of the machine can do to an embedded Triton, always the real one: nothing."""

import json
import os
import stat
from pathlib import Path

import pytest

from core.triton.model_config import encoder_config
from domain.errors import ReleaseRejected
from tests.support.as_nobody import as_nobody
from tests.support.encoder_calls import encode

pytestmark = pytest.mark.triton

CONFIG = encoder_config(max_tokens=16)

# The attack that ran: a model of the `python` backend whose file travels with the load.
IMPORTS = """
import json, sys
import grpc
from tritonclient.grpc import service_pb2 as pb, service_pb2_grpc
"""
ATTACK = """
address, trace = sys.argv[1:]
code = f"open({trace!r}, 'w').close()\\nclass TritonPythonModel:\\n    def execute(self, requests): return []\\n"
load = pb.RepositoryModelLoadRequest(model_name="attack")
load.parameters["config"].string_param = json.dumps({"name": "attack", "backend": "python", "max_batch_size": 1})
load.parameters["file:1/model.py"].bytes_param = code.encode()
infer = pb.ModelInferRequest(model_name="encoder", model_version="1")
for name in ("input_ids", "attention_mask"):
    infer.inputs.add(name=name, datatype="INT64", shape=(1, 1), contents=pb.InferTensorContents(int64_contents=[1]))
stub = service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(address))
calls = {
    "live": (stub.ServerLive, pb.ServerLiveRequest()),
    "index": (stub.RepositoryIndex, pb.RepositoryIndexRequest()),
    "infer": (stub.ModelInfer, infer),
    "load": (stub.RepositoryModelLoad, load),
    "unload": (stub.RepositoryModelUnload, pb.RepositoryModelUnloadRequest(model_name="encoder")),
}
answers = {}
for name, (method, request) in calls.items():
    try:
        method(request, timeout=20)
        answers[name] = "OK"
    except grpc.RpcError as error:
        answers[name] = error.code().name
print(json.dumps(answers))
"""

READ = """
seen = {}
for name in os.listdir("/dev/shm"):
    if name.startswith(f"shortlist-{sys.argv[1]}-"):
        try:
            open("/dev/shm/" + name, "rb").close()
            seen[name] = "read"
        except PermissionError:
            seen[name] = "refused"
print(json.dumps(seen))
"""


async def test_another_user_can_neither_load_nor_unload_nor_infer(triton, client, texts, tmp_path):
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    request = texts(1, 16)
    before = await encode(client, *request, version=1, timeout_s=5)
    trace = Path("/tmp") / f"shortlist-attack-{os.getpid()}"
    try:
        done = as_nobody(IMPORTS, ATTACK, triton.grpc_address, str(trace))
        assert done.returncode == 0, done.stderr
        assert set(json.loads(done.stdout).values()) == {"UNAVAILABLE"}
        assert not trace.exists()
    finally:
        trace.unlink(missing_ok=True)
    assert (await encode(client, *request, version=1, timeout_s=5) == before).all()


async def test_another_user_cannot_read_the_shared_memory(triton, client):
    await client.load("encoder", CONFIG, [1], timeout_s=30)
    own = [path for path in Path("/dev/shm").glob(f"shortlist-{os.getpid()}-*")]
    assert own
    assert {stat.S_IMODE(path.stat().st_mode) for path in own} == {0o600}
    done = as_nobody("import json, os, sys", READ, str(os.getpid()))
    assert set(json.loads(done.stdout).values()) == {"refused"}


async def test_a_python_model_is_refused_even_for_the_owner(triton, client, tmp_path):
    trace = tmp_path / "ran"
    folder = tmp_path / "model_repository/own/1"
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(f"open({str(trace)!r}, 'w').close()\nclass TritonPythonModel:\n    pass\n")
    for config in (
        'name: "own" backend: "python"',
        'name: "own" backend: "onnxruntime" runtime: "libtriton_python.so"',
    ):
        with pytest.raises(ReleaseRejected):
            await client.load("own", config, [1], timeout_s=20)
    assert not trace.exists()
    await client.load("encoder", CONFIG, [1], timeout_s=30)  # it goes on


async def test_it_listens_on_no_port(triton):
    inodes = set()
    for link in Path(f"/proc/{triton.pid}/fd").iterdir():
        target = os.readlink(link)
        if target.startswith("socket:["):
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    tables = [Path(f"/proc/{triton.pid}/net/{name}").read_text() for name in ("tcp", "tcp6", "udp", "udp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    assert [row[1] for row in rows if row[9] in inodes] == []
