"""What tests of the stages and of the served models share."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from server.observability.metrics import Metrics
from server.release.loader import ReleaseLoader
from server.release.model_loader import ModelLoader
from tests.support.served import Served
from tests.support.torch_triton import TorchTriton
from tests.support.trained import COUNT


@pytest.fixture
async def served(workshop, trained_release, tmp_path):
    triton = TorchTriton(workshop.model, trained_release.path / "models/encoder.onnx", np.arange(COUNT))
    with ThreadPoolExecutor(2) as workers:
        loader = ReleaseLoader(ModelLoader(triton, tmp_path / "models", workers, shared=False), Metrics(), 0.3)
        release = await loader.load(trained_release)
        yield Served(release, triton, workers)
        await release.encoder.batcher.aclose()


@pytest.fixture
def other(served):
    """The same release by another encoder."""
    data = served.release.data
    encoder = replace(data.manifest.encoder, source_sha256="0" * 64)
    return replace(served.release, data=replace(data, manifest=replace(data.manifest, encoder=encoder)))
