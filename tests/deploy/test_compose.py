"""compose.yaml: its promises, and its Triton and gateway really started with its commands and variables."""

import lzma
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from py3langid import langid
from tritonclient.grpc import service_pb2, service_pb2_grpc

from server.settings import load_configuration
from server.triton.installation import prepare_installation
from shortlist import Client
from tests.conftest import TRITON_ENV, skip_without_triton
from tests.deploy.compose import COMPOSE, SECRET, end_triton, read_compose, script, service, start_triton
from tests.deploy.dockerfile import ROOT, read_dockerfile
from tests.deploy.image_environment import make_image_environment
from tests.support import ports
from tests.support.running import shortlist

IMAGE = read_dockerfile()[-1]
OVERRIDES = [path for path in sorted(COMPOSE.parent.glob("compose.*.yaml"))]


def mount(name: str, target: str) -> dict[str, object]:
    (found,) = [one for one in service(name)["volumes"] if one["target"] == target]
    return found


def test_the_images():
    assert service("triton")["image"] == "nvcr.io/nvidia/tritonserver:26.07-py3"
    assert (COMPOSE.parent / service("gateway")["build"]["context"] / "Dockerfile").resolve() == ROOT / "Dockerfile"


@pytest.mark.parametrize("name", ["gateway", "triton"])
def test_each_service_gets_no_more_than_it_needs(name: str):
    one = service(name)
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & set(one)
    limits = one["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0 and limits["memory"] and one["pids_limit"] > 0
    assert one.get("user", IMAGE.last("USER").rest) not in ("0", "root", "0:0")


def test_triton_has_shared_memory_and_limits_as_nvidia_advises():
    assert service("triton")["shm_size"] == "1g"
    assert service("triton")["ulimits"] == {"memlock": -1, "stack": 67_108_864}


def test_there_is_room_to_unpack_the_model_that_tells_languages():
    path = Path(langid.__file__).parent / langid.MODEL_FILE
    with lzma.open(path) as model:
        unpacked = sum(map(len, iter(lambda: model.read(1 << 20), b"")))
    sizes = re.findall(r"/tmp:size=(\d+)m", " ".join(service("gateway")["tmpfs"]))
    pod = (ROOT / "deploy" / "kubernetes" / "base" / "deployment.yaml").read_text()
    sizes += re.findall(r"name: gateway-tmp\n\s+emptyDir: \{sizeLimit: (\d+)Mi\}", pod)
    assert [int(size) << 20 >= 1.2 * unpacked for size in sizes] == [True, True]


def test_only_the_gateway_is_reached_and_only_from_this_machine():
    assert "ports" not in service("triton")
    assert all(port.startswith("127.0.0.1:") for port in service("gateway")["ports"])
    assert {port.rpartition(":")[2] for port in service("gateway")["ports"]} == set(IMAGE.last("EXPOSE").rest.split())
    assert service("triton")["networks"] == ["triton"]
    assert read_compose()["networks"]["triton"] == {"internal": True}


def test_the_gateway_writes_models_and_triton_reads_them():
    variables = IMAGE.environment
    assert mount("gateway", variables["SHORTLIST_MODEL_REPOSITORY"]).get("read_only", False) is False
    assert mount("triton", "/models")["read_only"] is True
    assert mount("triton", "/models")["volume"] == {"nocopy": True}, "the gateway's image sets the volume's owner"
    assert mount("triton", "/models")["source"] == mount("gateway", "/models")["source"]
    assert mount("gateway", variables["SHORTLIST_RELEASES"])["read_only"] is True


def test_what_the_gateway_keeps_outlives_its_container():
    state = service("gateway")["environment"]["SHORTLIST_STATE"]
    assert mount("gateway", state)["type"] == "volume"
    assert mount("gateway", state)["source"] in read_compose()["volumes"]
    made = next(one.rest for one in IMAGE.instructions if "install --directory" in one.rest)
    assert state in made.split(), "the volume takes its owner from the image"


def test_the_gateways_variables_are_settings_that_fit_the_rest():
    environment = {**IMAGE.environment, **service("gateway")["environment"]}
    settings = load_configuration(
        None, {name: value for name, value in environment.items() if name.startswith("SHORTLIST_")}, {}
    ).settings
    host, _, port = settings.triton.rpartition(":")
    assert host in read_compose()["services"]
    assert f"--grpc-port={port}" in script(service("triton")["command"])
    assert str(settings.triton_key_file) == SECRET
    assert SECRET in script(service("triton")["command"])
    stop_s = float(service("gateway")["stop_grace_period"].removesuffix("s"))
    assert stop_s > settings.drain_s + settings.stop_grace_s


def test_no_model_is_loaded_at_start():
    text = script(service("triton")["command"])
    assert "--model-control-mode=explicit" in text
    assert "--load-model" not in text


def test_every_secret_is_declared():
    for path in (COMPOSE, *OVERRIDES):
        content = read_compose(path)
        declared = set(content.get("secrets", {}))
        used = {name for one in content["services"].values() for name in one.get("secrets", [])}
        assert used == declared, path


@pytest.mark.parametrize("path", (COMPOSE, *OVERRIDES), ids=lambda path: path.name)
def test_no_variable_of_the_person_who_starts_it_looks_like_a_setting(path: Path):
    """Exported, it would stop `shortlist serve` in the same shell as an unknown setting."""
    names = re.findall(r"\$\{(\w+)", path.read_text())
    assert not [name for name in names if name.startswith("SHORTLIST_")]
    told = (ROOT / "docs" / "containers.md").read_text()
    assert all(f"`{name}`" in told for name in names)


@pytest.mark.parametrize("path", OVERRIDES, ids=lambda path: path.name)
def test_an_override_names_services_that_exist(path: Path):
    assert set(read_compose(path)["services"]) <= set(read_compose()["services"])


def test_with_tls_the_gateway_is_published_and_its_health_check_still_holds():
    gateway = read_compose(COMPOSE.parent / "compose.tls.yaml")["services"]["gateway"]
    merged = {**IMAGE.environment, **service("gateway")["environment"], **gateway["environment"]}
    settings = load_configuration(None, {n: v for n, v in merged.items() if n.startswith("SHORTLIST_")}, {}).settings
    mounted = {f"/run/secrets/{name}" for name in gateway["secrets"]}
    assert {str(settings.tls_certificate), str(settings.tls_key)} == mounted
    assert gateway["healthcheck"]["test"][:3] == ["CMD", "shortlist", "health"]
    assert f"--tls-ca={settings.tls_certificate}" in gateway["healthcheck"]["test"]


def test_with_a_gpu_triton_gets_it_and_the_gateway_has_it_used():
    gpu = read_compose(COMPOSE.parent / "compose.gpu.yaml")["services"]
    (device,) = gpu["triton"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    merged = {**IMAGE.environment, **service("gateway")["environment"], **gpu["gateway"]["environment"]}
    settings = load_configuration(None, {n: v for n, v in merged.items() if n.startswith("SHORTLIST_")}, {}).settings
    assert settings.encoder_on_gpu


@dataclass(frozen=True)
class Composed:
    """compose.yaml's two services, running outside containers."""

    folder: Path
    grpc_port: int
    http_port: int
    gateway: str


@pytest.fixture(scope="module")
def triton_help(tmp_path_factory: pytest.TempPathFactory) -> str:
    skip_without_triton()
    installation = prepare_installation(TRITON_ENV, tmp_path_factory.mktemp("state"))
    environment = dict(entry.split("=", 1) for entry in installation.environment)
    told = subprocess.run([installation.binary, "--help"], env=environment, capture_output=True, text=True, check=False)
    return told.stdout + told.stderr


@pytest.mark.triton
def test_tritonserver_knows_every_flag(triton_help: str):
    flags = re.findall(r"(--[a-z0-9-]+)=", script(service("triton")["command"]))
    assert len(flags) > 8
    for flag in flags:
        assert re.search(rf"^\s*{flag}\b", triton_help, re.MULTILINE), flag


@pytest.fixture(scope="module")
def composed(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """Triton by compose.yaml's command and the gateway by its variables, with the image's files and packages."""
    skip_without_triton()
    folder = tmp_path_factory.mktemp("composed")
    (folder / "models").mkdir()
    (folder / "triton.key").write_text(f"shortlist={secrets.token_hex(8)}\n")
    picked = dict(zip(("grpc", "http", "metrics", "listen", "page"), ports.pick("127.0.0.1", 5), strict=True))
    replaced = {"/models": str(folder / "models"), SECRET: str(folder / "triton.key"), "0.0.0.0": "127.0.0.1"}
    replaced |= {f"--{name}-port={port}": f"--{name}-port={picked[name]}" for name, port in
                 (("grpc", 8001), ("http", 8000), ("metrics", 8002))}  # fmt: skip
    name = f"composed-{secrets.token_hex(4)}"
    triton = start_triton(TRITON_ENV, folder / "state", replaced, folder / "triton.log", name)
    image = make_image_environment(folder)
    environment = {**image.environment, **service("gateway")["environment"]}
    environment |= {
        "SHORTLIST_TRITON": f"127.0.0.1:{picked['grpc']}",
        "SHORTLIST_TRITON_KEY_FILE": str(folder / "triton.key"),
        "SHORTLIST_LISTEN": f"127.0.0.1:{picked['listen']}",
        "SHORTLIST_METRICS_LISTEN": f"127.0.0.1:{picked['page']}",
        "SHORTLIST_RELEASES": str(releases),
        "SHORTLIST_MODEL_REPOSITORY": str(folder / "models"),
        "SHORTLIST_STATE": str(folder / "gateway-state"),
        "SHORTLIST_DRAIN_S": "0",
    }
    try:
        passes([sys.executable, *health_check(picked["http"])], 30, folder / "triton.log")
        with (folder / "gateway.log").open("wb") as log:
            gateway = subprocess.Popen(
                [*image.prefix, *image.stage.last("CMD").words()], env=environment, cwd="/", stdout=log, stderr=log
            )
        try:
            command = ["health", "--address", environment["SHORTLIST_LISTEN"]]
            passes([*image.prefix, *command], 120, folder / "gateway.log", environment, gateway)
            yield Composed(folder, picked["grpc"], picked["http"], environment["SHORTLIST_LISTEN"])
        finally:
            gateway.terminate()
            assert gateway.wait(timeout=30) == 0, (folder / "gateway.log").read_text()
    finally:
        assert end_triton(triton, name) == 0


def health_check(port: int) -> list[str]:
    """Triton's health check of compose.yaml, without its python3."""
    kind, python, *rest = service("triton")["healthcheck"]["test"]
    assert (kind, python) == ("CMD", "python3")
    return [word.replace(":8000/", f":{port}/") for word in rest]


def passes(
    command: list[str],
    seconds: float,
    log: Path,
    environment: dict[str, str] | None = None,
    process: "subprocess.Popen[bytes] | None" = None,
) -> None:
    """Repeats a command until it succeeds; not once the process has ended that it asks about."""
    end = time.monotonic() + seconds
    while (done := subprocess.run(command, env=environment, capture_output=True, text=True, check=False)).returncode:
        ended = process is not None and process.poll() is not None
        assert not ended and time.monotonic() < end, f"{done.stderr}\n{log.read_text()}"
        time.sleep(0.2)


@pytest.mark.triton
class TestRunning:
    def test_it_recommends(self, composed: Composed):
        with Client(composed.gateway, deadline_s=5) as client:
            reply = client.recommend("earl grey tea", k=3)
        assert len(reply.items) == 3
        assert reply.degradations == ()

    def test_the_models_were_installed_by_the_gateway(self, composed: Composed):
        assert (composed.folder / "models" / "encoder" / "1" / "model.onnx").stat().st_size > 1e6

    def test_without_the_key_triton_answers_health_alone(self, composed: Composed):
        with grpc.insecure_channel(f"127.0.0.1:{composed.grpc_port}") as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            assert stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=5).ready
            for call, request in (
                (stub.ModelInfer, service_pb2.ModelInferRequest(model_name="encoder")),
                (stub.RepositoryModelUnload, service_pb2.RepositoryModelUnloadRequest(model_name="encoder")),
                (stub.SystemSharedMemoryRegister, service_pb2.SystemSharedMemoryRegisterRequest(name="x", key="/x")),
                (stub.ModelConfig, service_pb2.ModelConfigRequest(name="encoder")),
                (stub.ServerMetadata, service_pb2.ServerMetadataRequest()),
            ):
                with pytest.raises(grpc.RpcError) as refused:
                    call(request, timeout=5)
                assert "protocol is restricted" in refused.value.details()

    def test_a_gpu_that_is_not_there_is_told_at_the_gateways_start(self, composed: Composed, releases: Path):
        done = shortlist(
            "serve", "--triton", f"127.0.0.1:{composed.grpc_port}",
            "--triton-key-file", str(composed.folder / "triton.key"), "--encoder-on-gpu",
            "--releases", str(releases), "--model-repository", str(composed.folder / "models"),
            "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
        )  # fmt: skip
        assert done.returncode == 1
        assert "GPU" in done.stderr, done.stderr
        with Client(composed.gateway, deadline_s=5) as client:
            assert client.recommend("earl grey tea", k=3).degradations == (), "the other gateway goes on"

    def test_a_wrong_key_is_told_at_the_gateways_start(self, composed: Composed, releases: Path, tmp_path: Path):
        (tmp_path / "key").write_text("shortlist=wrong")
        done = shortlist(
            "serve", "--triton", f"127.0.0.1:{composed.grpc_port}", "--triton-key-file", str(tmp_path / "key"),
            "--releases", str(releases), "--model-repository", str(composed.folder / "models"),
            "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
        )  # fmt: skip
        assert done.returncode == 1
        assert "does not take our key" in done.stderr
        assert "--triton-key-file" in done.stderr
        assert "wrong" not in done.stdout + done.stderr
