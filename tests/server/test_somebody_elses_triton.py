"""`shortlist serve` against a Triton that this gateway did not start: here, the one of another gateway."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from shortlist import Client, DegradationReason
from tests.conftest import TRITON_ENV
from tests.support.running import RunningGateway, start_gateway

pytestmark = [
    pytest.mark.triton,
    pytest.mark.skipif(not (TRITON_ENV / "bin").is_dir(), reason="no .venv-triton: run `make setup`"),
]

# The small gateway's encoder is 32 wide and takes 64 tokens.
SHORTER: dict[str, object] = {"hidden": 16, "positions": 32}


@pytest.fixture(scope="module")
def small_gateway(
    make_small_release: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway over a small release, with a Triton of its own that others use too."""
    # The name becomes a folder: Triton must also live with a space in a path.
    folder = make_small_release(tmp_path_factory.mktemp("small") / "a gateway")
    repository = str(folder / "models")
    running = start_gateway(folder, "--releases", str(folder / "releases"), "--model-repository", repository)
    yield running
    assert running.stop() == 0, running.text()


def serve(gateway: RunningGateway, made: Path, repository: Path, folder: Path) -> RunningGateway:
    words = ("--releases", str(made / "releases"), "--triton", gateway.triton_address)
    return start_gateway(folder, *words, "--model-repository", str(repository), command="serve")


def test_same_answers_through_the_same_repository(small_gateway: RunningGateway, tmp_path: Path) -> None:
    home = small_gateway.output.parent
    second = serve(small_gateway, home, home / "models", tmp_path / "second")
    try:
        with Client(small_gateway.address, deadline_s=5) as one, Client(second.address, deadline_s=5) as other:
            found = [client.recommend("word1 word2").items for client in (one, other)]
            assert [item.id for item in found[0]] == ["1", "2"]
            assert found[0] == found[1]
        assert psutil.Process(second.process.pid).children() == []
    finally:
        assert second.stop() == 0


def test_two_encoders_live_side_by_side_on_one_triton(
    small_gateway: RunningGateway, tmp_path: Path, make_small_release: Callable[..., Path]
) -> None:
    # Neither may be warmed up with the other's lengths.
    home, before = small_gateway.output.parent, len(small_gateway.text())
    shorter = make_small_release(tmp_path / "shorter", **SHORTER)
    second = serve(small_gateway, shorter, home / "models", tmp_path / "second")
    try:
        with Client(small_gateway.address, deadline_s=5) as one, Client(second.address, deadline_s=5) as other:
            until = time.monotonic() + 4  # longer than either watch needs to notice and to reload
            while time.monotonic() < until:
                for client, text in ((one, "word2"), (other, "word1")):
                    found = {degradation.reason for degradation in client.recommend(text).degradations}
                    assert found <= {DegradationReason.NOTHING_RELEVANT}
            assert len(one.embed(["word2"]).embeddings[0].vector) == 32
            assert len(other.embed(["word1"]).embeddings[0].vector) == 16
            third = serve(small_gateway, home, home / "models", tmp_path / "third")
            assert third.stop() == 0
            found = {degradation.reason for degradation in other.recommend("word1").degradations}
            assert found <= {DegradationReason.NOTHING_RELEVANT}
    finally:
        assert second.stop() == 0
    assert "encoder is unavailable" not in small_gateway.text()[before:] + second.text()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param(SHORTER, "has width 32, the release 16", id="another width"),
        pytest.param({"seed": 1}, "encodes the canary texts differently", id="other weights"),
        pytest.param(
            {"more_words": ["tea"]}, "the encoder in Triton cannot answer the canaries", id="another vocabulary"
        ),
    ],
)
def test_a_triton_that_holds_another_model_is_refused(
    small_gateway: RunningGateway,
    tmp_path: Path,
    make_small_release: Callable[..., Path],
    kind: dict[str, object],
    expected: str,
) -> None:
    ours = make_small_release(tmp_path / "ours", **kind)
    # Each gateway numbers versions in its own repository: version 1 is another model for each of them.
    with pytest.raises(AssertionError, match=expected):
        serve(small_gateway, ours, tmp_path / "elsewhere", tmp_path / "second").stop()
