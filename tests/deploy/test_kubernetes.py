"""deploy/kubernetes: rendered by kubectl, checked against Kubernetes' schemas, and played as a kubelet plays it."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.observability.metrics import Metrics
from server.settings import load_configuration
from server.triton.installation import prepare_installation
from shortlist import Client, Tls
from tests.conftest import TRITON_ENV, Certificate, skip_without_triton
from tests.deploy.compose import end_triton
from tests.deploy.dockerfile import read_dockerfile
from tests.support import ports
from tests.support.running import ROOT, shortlist, until

FOLDER = ROOT / "deploy/kubernetes"
VARIANTS = ("base", "mesh", "redis")


@functools.cache
def rendered(variant: str) -> dict[str, dict[str, Any]]:
    """Returns the resources by kind."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl: it renders the manifests")
    done = subprocess.run(["kubectl", "kustomize", str(FOLDER / variant)], capture_output=True, text=True, check=True)
    resources = [one for one in yaml.safe_load_all(done.stdout) if one]
    assert len({one["kind"] for one in resources}) == len(resources)
    return {one["kind"]: one for one in resources}


def pod(variant: str = "base") -> dict[str, Any]:
    return rendered(variant)["Deployment"]["spec"]["template"]["spec"]


def container(name: str, variant: str = "base") -> dict[str, Any]:
    (found,) = [one for one in (*pod(variant)["initContainers"], *pod(variant)["containers"]) if one["name"] == name]
    return found


def environment(variant: str = "base") -> dict[str, str]:
    """Returns the settings that the gateway's container has."""
    image = read_dockerfile()[-1].environment
    both = {**image, **rendered(variant)["ConfigMap"]["data"]}
    return {name: value for name, value in both.items() if name.startswith("SHORTLIST_")}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_schemas_of_kubernetes_take_every_resource(variant: str) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for resource in rendered(variant).values():
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_container_is_locked_down_and_bounded(variant: str) -> None:
    assert pod(variant)["securityContext"]["runAsNonRoot"] is True
    assert pod(variant)["automountServiceAccountToken"] is False
    for one in (*pod(variant)["initContainers"], *pod(variant)["containers"]):
        context = one["securityContext"]
        assert context["readOnlyRootFilesystem"] is True and context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert one["resources"]["requests"]["cpu"] and one["resources"]["limits"]["memory"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_mounted_exists_and_what_settings_name_is_mounted(variant: str) -> None:
    volumes = {one["name"] for one in pod(variant)["volumes"]}
    mounted = {mount["name"] for one in (*pod(variant)["initContainers"], *pod(variant)["containers"])
               for mount in one["volumeMounts"]}  # fmt: skip
    assert volumes == mounted
    paths = [mount["mountPath"] for mount in container("gateway", variant)["volumeMounts"]]
    for value in environment(variant).values():
        assert not value.startswith("/") or any(value.startswith(path) for path in paths), value


def test_settings_are_the_gateways_and_fit_the_pod() -> None:
    settings = load_configuration(None, environment(), {}).settings
    assert settings.knows_callers and settings.tls_certificate is not None and settings.release_keys is not None
    assert f"--grpc-port={settings.triton.rpartition(':')[2]}" in container("triton")["command"]
    stop_s = pod()["terminationGracePeriodSeconds"]
    exit_s = next(int(word.partition("=")[2]) for word in container("triton")["command"] if "exit-timeout" in word)
    assert stop_s > settings.drain_for_s + settings.stop_grace_s + exit_s
    named = {port["name"]: port["containerPort"] for port in container("gateway")["ports"]}
    assert named["grpc"] == int(settings.listen.rpartition(":")[2])
    assert named["metrics"] == int(settings.metrics_listen.rpartition(":")[2])
    mesh = load_configuration(None, environment("mesh"), {}).settings
    assert mesh.tls_certificate is None and mesh.knows_callers
    assert container("gateway", "mesh")["readinessProbe"]["grpc"]["port"] == named["grpc"]


def test_nothing_is_acknowledged_that_ends_with_its_pod() -> None:
    """The state folder is a pod's own: neither events nor changed items may be kept there."""
    (state,) = [one for one in pod()["volumes"] if one["name"] == "state"]
    assert "emptyDir" in state
    for variant in VARIANTS:
        settings = load_configuration(None, environment(variant), {}).settings
        assert settings.fixed_catalogue
        kept = settings.event_settings()
        if variant != "redis":
            assert kept is None
        else:
            assert kept is not None and kept.place.startswith("redis://")
            assert not kept.key_file.is_relative_to(settings.state)
            port = int(kept.place.rpartition(":")[2])
            allowed = [
                one["port"] for rule in rendered(variant)["NetworkPolicy"]["spec"]["egress"] for one in rule["ports"]
            ]
            assert port in allowed


def test_an_endpoint_is_removed_before_the_gateway_refuses() -> None:
    readiness = container("gateway")["readinessProbe"]
    noticed_s = readiness["periodSeconds"] * readiness["failureThreshold"]
    assert noticed_s < load_configuration(None, environment(), {}).settings.drain_for_s
    # Liveness must not end a gateway that is only starting, or whose encoder is away.
    assert container("gateway")["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_selectors_meet_the_pods_and_clients_balance_themselves() -> None:
    labels = rendered("base")["Deployment"]["spec"]["template"]["metadata"]["labels"]
    everything = rendered("base")
    selectors = [
        everything["Service"]["spec"]["selector"],
        everything["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        everything["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        everything["Deployment"]["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert everything["Service"]["spec"]["clusterIP"] == "None"
    assert everything["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_autoscaler_goes_by_a_metric_of_the_gateway() -> None:
    (metric,) = rendered("base")["HorizontalPodAutoscaler"]["spec"]["metrics"]
    known = {family.name for family in Metrics().registry.collect()}
    assert metric["pods"]["metric"]["name"] in known


def probe(kind: str, metrics_port: int) -> int:
    """Makes a probe of the gateway's container as the kubelet does; returns the status, 0 without an answer."""
    found = container("gateway")[kind]["httpGet"]
    assert found["port"] == "metrics"
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}{found['path']}", timeout=5) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.mark.triton
def test_a_pod_as_the_kubelet_runs_it(  # noqa: PLR0915 -- a pod's life, in order
    releases: Path, certificate: Certificate, tmp_path: Path
) -> None:
    skip_without_triton()
    grpc_port, http_port, listen, page = ports.pick("127.0.0.1", 4)
    source = Path(shutil.copytree(releases, tmp_path / "image", symlinks=True))
    for folder in ("target", "models", "state"):
        (tmp_path / folder).mkdir()
    key = Ed25519PrivateKey.generate()
    pem = serialization.Encoding.PEM
    (tmp_path / "release.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "release.pub").write_bytes(
        key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    done = shortlist("release", "sign", "--out", str(source), "--key", str(tmp_path / "release.key"))
    assert done.returncode == 0, done.stderr
    token = shortlist("key", "add", "web", "--keys", str(tmp_path / "keys.toml")).stdout.strip()
    places = {
        "/secrets/release-keys/release.pub": str(tmp_path / "release.pub"),
        "/secrets/api-keys/keys.toml": str(tmp_path / "keys.toml"),
        "/secrets/tls/tls.crt": str(certificate.certificate),
        "/secrets/tls/tls.key": str(certificate.key),
        "/target/": f"{tmp_path}/target/",
        "/releases/.": f"{source}/.",
        "/releases": str(tmp_path / "target"),
        "/models": str(tmp_path / "models"),
        "/state": str(tmp_path / "state"),
    }

    def outside(text: str) -> str:
        return places.get(text, text)

    # Init containers, in order.
    subprocess.run([outside(word) for word in container("release")["command"]], check=True)
    done = shortlist(*(outside(word) for word in container("verify")["args"]))
    assert done.returncode == 0 and "signed by a trusted key" in done.stdout, done.stderr
    installation = prepare_installation(TRITON_ENV, tmp_path / "state")
    name = f"pod-{os.getpid()}"
    words = [str(installation.binary), *(
        word.replace("/models", places["/models"]).replace("8001", str(grpc_port)).replace("8000", str(http_port))
        for word in container("triton")["command"][1:]
    ), f"--backend-directory={installation.backend_directory}",
        *(f"--backend-config={one},shm-region-prefix-name={name}" for one in ("python", "onnxruntime"))]  # fmt: skip
    started = dict(entry.split("=", 1) for entry in installation.environment)
    with (tmp_path / "triton.log").open("wb") as log:
        triton = subprocess.Popen(words, env=started, stdout=log, stderr=log, start_new_session=True)
    try:
        _, _, code = container("triton")["startupProbe"]["exec"]["command"]
        code = code.replace(":8000/", f":{http_port}/")
        asked = [sys.executable, "-c", code]
        until(lambda: subprocess.run(asked, capture_output=True, check=False).returncode == 0, 60, "Triton is up")
        settings = {name: outside(value) for name, value in environment().items()} | {
            "SHORTLIST_TRITON": f"127.0.0.1:{grpc_port}",
            "SHORTLIST_LISTEN": f"127.0.0.1:{listen}",
            "SHORTLIST_METRICS_LISTEN": f"127.0.0.1:{page}",
            "SHORTLIST_DRAIN_S": "2",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SHORTLIST_")}
        with (tmp_path / "gateway.log").open("wb") as log:
            gateway = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *container("gateway")["args"]],
                env={**kept, **settings}, cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            until(lambda: probe("livenessProbe", page) == 200 or gateway.poll() is not None, 60, "it is alive")
            assert gateway.poll() is None, (tmp_path / "gateway.log").read_text()
            budget = container("gateway")["startupProbe"]
            until(
                lambda: probe("startupProbe", page) == 200, budget["periodSeconds"] * budget["failureThreshold"], "up"
            )
            assert probe("readinessProbe", page) == 200
            tls = Tls(certificate.certificate.read_bytes())
            with Client(f"localhost:{listen}", tls=tls, token=token, deadline_s=5.0) as client:
                assert client.recommend("earl grey tea", k=3).degradations == ()
                gateway.send_signal(signal.SIGTERM)
                stopped_s = time.monotonic()
                until(lambda: probe("readinessProbe", page) == 503, 2, "it is no longer ready")
                assert probe("livenessProbe", page) == 200
            assert gateway.wait(timeout=pod()["terminationGracePeriodSeconds"]) == 0
            assert time.monotonic() - stopped_s >= 2
        finally:
            if gateway.poll() is None:
                gateway.kill()
                gateway.wait()
    finally:
        assert end_triton(triton, name) == 0
