"""What goes wrong around the gateway: Triton dies, files are damaged, ports are taken, models are mixed up."""

import contextlib
import json
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from shortlist import (
    Client,
    DegradationReason,
    Event,
    EventKind,
    HealthStatus,
    ShortlistCallError,
    Tls,
    Unavailable,
)
from tests.conftest import Certificate
from tests.support.running import RunningGateway, shortlist, start_gateway, until

pytestmark = pytest.mark.triton

EMBEDDING = "shortlist.v1.EmbeddingService"


def children(gateway: RunningGateway) -> list[psutil.Process]:
    return psutil.Process(gateway.process.pid).children(recursive=True)


def child(gateway: RunningGateway, name: str) -> psutil.Process:
    return next(one for one in children(gateway) if name in " ".join(one.cmdline()[:1]) or name in one.name())


@pytest.fixture
def own_gateway(
    request: pytest.FixtureRequest, releases: Path, model_repository: Path, tmp_path: Path
) -> Iterator[RunningGateway]:
    """A gateway that a test may harm, with the flags that the test names."""
    folders = ("--releases", str(releases), "--model-repository", str(model_repository))
    running = start_gateway(tmp_path, *folders, *getattr(request, "param", ()))
    yield running
    if running.process.poll() is None:
        running.stop()


def damaged_copy(releases: Path, folder: Path) -> Path:
    """A copy of the sample release, to be damaged."""
    return Path(shutil.copytree(releases / "current", folder / "damaged"))


class TestTritonDies:
    # The stub is the process of a model whose backend is written in Python.
    @pytest.mark.parametrize(
        ("victim", "own_gateway"),
        [("tritonserver", ()), ("triton_python_backend_stub", ("--precision", "float32"))],
        indirect=["own_gateway"],
    )
    def test_killing_it_is_survived(self, own_gateway: RunningGateway, victim: str) -> None:
        def full(client: Client) -> bool:
            with contextlib.suppress(ShortlistCallError):
                return client.recommend("earl grey tea").degradations == ()
            return False

        with Client(own_gateway.address, deadline_s=2.0) as client:
            expected = [item.id for item in client.recommend("earl grey tea").items]
            child(own_gateway, victim).send_signal(signal.SIGKILL)
            # While it is away: shared words and histories still answer, and say so.
            reply = client.recommend("earl grey tea")
            assert reply.items
            assert [one.reason for one in reply.degradations] == [DegradationReason.ENCODER_UNAVAILABLE]
            history = client.recommend(events=[Event("goods-phone-a", EventKind.BUY)])
            assert len(history.items) == 10
            assert history.degradations == ()
            with pytest.raises(Unavailable):
                client.recommend("zzz qqq xxx")
            until(lambda: client.health(EMBEDDING) is HealthStatus.NOT_SERVING, 5, "Embed reports NOT_SERVING")
            assert client.health() is HealthStatus.SERVING
            took_s = until(lambda: full(client), 30, "full answers again")
            assert [item.id for item in client.recommend("earl grey tea").items] == expected
            until(lambda: client.health(EMBEDDING) is HealthStatus.SERVING, 5, "Embed reports SERVING")
            sys.stdout.write(f"{victim}: full answers {took_s:.1f} s after the kill\n")

    def test_killing_the_gateway_leaves_nothing_behind(self, own_gateway: RunningGateway) -> None:
        started = children(own_gateway)
        assert any("tritonserver" in one.name() for one in started)
        own_gateway.process.kill()
        own_gateway.process.wait()
        _, alive = psutil.wait_procs(started, timeout=15)
        assert alive == []


class TestStop:
    def test_calls_in_progress_finish_and_the_children_end(self, own_gateway: RunningGateway) -> None:
        started = children(own_gateway)
        errors: list[ShortlistCallError] = []
        answered: list[int] = []

        def ask() -> None:
            with Client(own_gateway.address, deadline_s=5.0, retry=None) as client:
                while True:
                    try:
                        answered.append(len(client.recommend("tea").items))
                    except ShortlistCallError as error:
                        errors.append(error)
                        return

        callers = [threading.Thread(target=ask) for _ in range(4)]
        for caller in callers:
            caller.start()
        until(lambda: len(answered) > 20, 10, "calls under way")
        assert own_gateway.stop() == 0, own_gateway.text()
        for caller in callers:
            caller.join(10)
        # Whoever comes after the stop is turned away; no answer is lost half-way and nothing else is ever seen.
        assert len(errors) == len(callers)
        assert {error.code for error in errors} == {"UNAVAILABLE"}
        assert psutil.wait_procs(started, timeout=8)[1] == []
        assert "Traceback" not in own_gateway.text()


class TestReleaseIsRefused:
    """Each with the reason, and an exit status other than 0, before anything serves."""

    def refused(self, release: Path, model_repository: Path, tmp_path: Path) -> str:
        done = shortlist(
            "up", "--release", str(release), "--model-repository", str(model_repository),
            "--state", str(tmp_path / "state"), "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
        )  # fmt: skip
        assert done.returncode == 1, done.stdout + done.stderr
        assert "SERVING" not in done.stdout
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr

    @pytest.mark.parametrize("name", ["vectors.npy", "graph.hnsw", "items.jsonl", "models/encoder.onnx"])
    def test_flipped_bit(self, releases: Path, model_repository: Path, tmp_path: Path, name: str) -> None:
        release = damaged_copy(releases, tmp_path)
        content = bytearray((release / name).read_bytes())
        content[len(content) // 2] ^= 1
        (release / name).write_bytes(content)
        assert f"{name} was changed" in self.refused(release, model_repository, tmp_path)

    @pytest.mark.parametrize("version", [3, 99])
    def test_another_schema(self, releases: Path, model_repository: Path, tmp_path: Path, version: int) -> None:
        release = damaged_copy(releases, tmp_path)
        manifest = json.loads((release / "manifest.json").read_text())
        (release / "manifest.json").write_text(json.dumps({**manifest, "schema_version": version}))
        refused = self.refused(release, model_repository, tmp_path)
        assert f"schema version {version}" in refused
        assert "build the release again" in refused

    def test_no_such_release(self, model_repository: Path, tmp_path: Path) -> None:
        assert "release build" in self.refused(tmp_path / "nowhere", model_repository, tmp_path)


class TestAddresses:
    def up(self, releases: Path, tmp_path: Path, *arguments: str) -> str:
        done = shortlist("up", "--releases", str(releases), "--state", str(tmp_path / "s"), *arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr

    @pytest.mark.parametrize("setting", ["--listen", "--metrics-listen"])
    def test_port_in_use(self, releases: Path, tmp_path: Path, setting: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            other = ({"--listen", "--metrics-listen"} - {setting}).pop()
            message = self.up(releases, tmp_path, setting, address, other, "127.0.0.1:0")
        assert address in message
        assert setting in message

    def test_another_address_needs_tls_or_insecure(self, releases: Path, tmp_path: Path) -> None:
        assert "--insecure" in self.up(releases, tmp_path, "--listen", "0.0.0.0:0")

    def test_triton_that_is_not_there(self, releases: Path, tmp_path: Path) -> None:
        done = shortlist(
            "serve", "--releases", str(releases), "--triton", "127.0.0.1:9", "--model-repository", str(tmp_path / "m"),
            "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
        )  # fmt: skip
        assert done.returncode == 1
        assert "127.0.0.1:9" in done.stderr
        assert "shortlist up" in done.stderr
        assert "Traceback" not in done.stderr

    def test_triton_environment_that_is_not_there(self, releases: Path, tmp_path: Path) -> None:
        message = self.up(
            releases, tmp_path, "--triton-env", str(tmp_path / "none"), "--model-repository", str(tmp_path / "m"),
            "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
        )  # fmt: skip
        assert "make setup" in message


class TestTls:
    @pytest.mark.xdist_group("gateway")
    def test_served_and_called_over_tls(self, tls_gateway: RunningGateway, certificate: Certificate) -> None:
        port = tls_gateway.address.rsplit(":", 1)[1]
        tls = Tls(root_certificates=certificate.certificate.read_bytes())
        with Client(f"localhost:{port}", tls=tls, deadline_s=5) as client:
            assert len(client.recommend("tea").items) == 10
        with Client(tls_gateway.address, deadline_s=2, retry=None) as plain, pytest.raises(Unavailable):
            plain.recommend("tea")


@pytest.mark.xdist_group("gateway")
def test_second_release_is_built_and_served(gateway: RunningGateway, model_repository: Path, tmp_path: Path) -> None:
    """Another catalogue, the same encoder: the model version is shared, the answers are the new catalogue's."""
    items = tmp_path / "mine.csv"
    items.write_text("id,title,tags[],price\nred,Red woollen scarf,winter|wool,20\nmug,Blue coffee mug,kitchen,8.5\n")
    releases = tmp_path / "releases"
    versions = set((model_repository / "encoder").glob("[0-9]*"))
    done = shortlist("release", "build", "--items", str(items), "--out", str(releases))
    assert done.returncode == 0, done.stdout + done.stderr
    running = start_gateway(tmp_path / "run", "--releases", str(releases), "--model-repository", str(model_repository))
    try:
        with Client(running.address, deadline_s=5) as client:
            reply = client.recommend("something warm for the neck", item_mask=["attributes"])
        assert [item.id for item in reply.items] == ["red", "mug"]
        assert reply.items[0].item.attributes == {"tags": ("winter", "wool"), "price": 20.0}
        assert reply.release_id != gateway.release_id
        assert reply.shortfall_count == 8
        assert set((model_repository / "encoder").glob("[0-9]*")) == versions
    finally:
        assert running.stop() == 0
