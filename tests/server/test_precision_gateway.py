"""An int8 and a float16 encoder behind the real Triton: the canary check holds, and company changes nothing."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.text.tokenize import TextTokenizer
from export.onnx_session import embed, open_session
from export.precision.calibration import Precision, read_calibration
from shortlist import Client
from tests.conftest import skip_without_triton
from tests.support.running import RunningGateway, start_gateway
from tests.support.trained import make_workshop

pytestmark = pytest.mark.triton


@pytest.fixture(scope="module")
def workshop(tmp_path_factory, exports):
    return make_workshop(tmp_path_factory.mktemp("precision-gateway"), exports)


@pytest.fixture(scope="module", params=["int8", "float16"])
def served(request, workshop, tmp_path_factory) -> Iterator[tuple[RunningGateway, object]]:
    skip_without_triton()
    texts = read_calibration(workshop.folder / "items.jsonl")
    release = workshop.build(None, precision=Precision(request.param, texts))
    folder = tmp_path_factory.mktemp(request.param)
    running = start_gateway(folder, "--release", str(release.path), "--model-repository", str(folder / "models"))
    yield running, release
    assert running.stop() == 0, running.text()


def test_the_served_vectors_are_those_of_the_file_in_any_company(served):
    running, release = served
    texts = [f"word{number} word{(7 * number) % 90}" + " word5" * (number % 12) for number in range(40)]
    tokens = TextTokenizer(release.path / "tokenizer.json", release.manifest.encoder.max_tokens).tokenize(texts)
    expected = embed(open_session(release.path / release.manifest.encoder.file), tokens, 0, 1)
    with Client(running.address, deadline_s=30.0) as client:
        alone = np.asarray(client.embed(texts[:1]).vectors)
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda text: np.asarray(client.embed([text]).vectors)[0], texts))
    cosines = (np.asarray(together) * expected).sum(axis=1)
    assert cosines.min() >= 0.99999
    assert float((alone[0] * expected[0]).sum()) >= 0.99999


def test_it_recommends_from_these_vectors(served):
    running, release = served
    text = "word17 word29 word3"
    tokens = TextTokenizer(release.path / "tokenizer.json", release.manifest.encoder.max_tokens).tokenize([text])
    query = embed(open_session(release.path / release.manifest.encoder.file), tokens, 0, 1)[0]
    with Client(running.address, deadline_s=30.0) as client:
        reply = client.recommend(text=text, k=5)
    assert reply.degradations == ()
    nearest = int((np.load(release.path / "vectors.npy") @ query).argmax())
    lines = (release.path / "items.jsonl").read_text().splitlines()
    assert json.loads(lines[nearest])["id"] in [item.id for item in reply.items]
