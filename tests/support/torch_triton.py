"""A Triton of torch: answers what the trained networks of a model folder compute, without ONNX or a server."""

import asyncio
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from core.ranking.text_features import TEXT_FEATURE_NAMES
from domain.errors import ModelUnavailable
from export.parts.ranker import load_ranker
from networks.storage import for_catalogue, load_user_tower
from networks.user_tower_ensemble import UserTowerServing


class TorchTriton:
    """Serves everything at once. `away` names models that fail, `slow_s` makes each call of a model wait, and while
    `open` is clear the ranker does not answer at all."""

    def __init__(self, model: Path, encoder: Path, item_rows: np.ndarray):
        tower = for_catalogue(load_user_tower(model / "user_tower"), torch.from_numpy(item_rows))
        self.networks = {"user_tower": UserTowerServing(tower).eval(), "ranker": load_ranker(model / "ranker")}
        if (model / "text_ranker").is_dir():
            self.networks["text_ranker"] = load_ranker(model / "text_ranker", TEXT_FEATURE_NAMES)
        self.encoder = onnxruntime.InferenceSession(encoder, providers=["CPUExecutionProvider"])
        self.away = set()
        self.slow_s = {}
        self.asked = []
        self.configs = {}
        self.open = asyncio.Event()
        self.open.set()

    async def wait_until_live(self, timeout_s):
        pass

    async def is_live(self):
        return True

    async def load(self, model, config_text, versions, timeout_s):
        self.configs[model] = config_text

    async def unload(self, model):
        pass

    async def ready_versions(self, model):
        return ()

    async def infer(self, model, version, inputs, *, output, timeout_s):
        await self._wait(model, timeout_s)
        if model == "encoder":
            return self.encoder.run([output], dict(inputs))[0]
        if model == "ranker":
            await self.open.wait()
        with torch.inference_mode():
            return self.networks[model](**{name: torch.from_numpy(array) for name, array in inputs.items()}).numpy()

    async def _wait(self, model, timeout_s):
        self.asked.append(model)
        if model in self.away:
            raise ModelUnavailable(f"{model} is away")
        if self.slow_s.get(model, 0) > timeout_s:
            await asyncio.sleep(max(0, timeout_s))
            raise ModelUnavailable(f"{model} did not answer in time")
        await asyncio.sleep(self.slow_s.get(model, 0))
