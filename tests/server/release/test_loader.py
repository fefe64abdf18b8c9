"""The loader: installs, loads, compares and warms up one model, on a Triton of its own or on a shared one."""

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from core.text.language import LanguageDetector
from core.triton.encoder_configs import named_configs
from core.triton.model_config import encoder_config
from core.triton.tensorrt import length_profiles
from core.triton.tensorrt_plan import PlanKey, write_record
from domain.errors import DeadlineExceeded, ModelUnavailable, ReleaseRejected, TritonUnresponsive
from domain.manifest import EncoderEntry, ModelEntry
from domain.progress import LineProgress
from server.models import encoder_choice
from server.models.canary import Canary, vector_difference
from server.models.encoder_choice import EncoderWishes, Machine
from server.models.encoder_variant import EncoderVariant
from server.models.model_spec import ModelSpec, TrainedModelConfig
from server.models.served_model import ServedModel
from server.observability.metrics import Metrics
from server.release.loader import ReleaseLoader
from server.release.model_loader import ModelLoader
from server.release.model_specs import trained_model_spec
from tests.support.fakes_server import MANIFEST, FakeTriton
from tests.support.torch_triton import TorchTriton
from tests.support.trained import COUNT

pytestmark = pytest.mark.xdist_group("workshop")

UNIT = np.eye(1, 4, dtype=np.float32)


def batch(length):
    ids = np.ones((1, length), np.int64)
    return {"input_ids": ids, "attention_mask": ids}


@pytest.fixture
def spec(tmp_path):
    file = tmp_path / "encoder.onnx"
    file.write_bytes(b"an encoder")
    sha256 = hashlib.sha256(b"an encoder").hexdigest()
    entry = EncoderEntry("tiny", "", "encoder", "", 32, 8, 0, 1.0)
    return ModelSpec(
        name="encoder",
        release_id="r1",
        file=file,
        sha256=sha256,
        output="sentence_embedding",
        canaries=(Canary(batch(3), UNIT),),
        difference=vector_difference,
        config=EncoderVariant().config_of(entry, sha256),
        warm_up_inputs=(batch(16), batch(32)),
        unit_output=True,
    )


@pytest.fixture
def triton():
    return FakeTriton(UNIT)


@pytest.fixture
def load(triton, tmp_path):
    """Serves a model from an empty repository and returns it with the steps."""

    async def serve(spec, *, shared=False):
        steps = []
        loader = ModelLoader(triton, tmp_path / "models", workers, shared=shared)
        return await loader.serve(spec, LineProgress(steps.append)), steps

    with ThreadPoolExecutor(1) as workers:
        yield serve


def lengths(triton):
    return [inputs["input_ids"].shape[1] for inputs in triton.batches]


async def test_a_model_is_installed_loaded_compared_and_warmed_up(load, spec, triton, tmp_path):
    model, steps = await load(spec)
    assert model.version == 1
    assert (tmp_path / "models/encoder/1/model.onnx").read_bytes() == b"an encoder"
    assert triton.calls == [("load", 1)]
    assert "model_warmup" in triton.configs[0]
    assert lengths(triton) == [3, 16, 32]
    assert steps == [
        "loading the encoder into Triton",
        "comparing the canaries of the encoder",
        "warming up the encoder",
    ]


async def test_on_a_shared_triton_the_versions_of_others_stay_and_are_not_warmed_up(load, spec, triton):
    triton.ready = (4, 7)
    await load(spec, shared=True)
    assert triton.calls == [("load", 1, 4, 7)]
    assert "model_warmup" not in triton.configs[0]
    assert lengths(triton) == [3, 16, 32]


async def test_versions_that_are_loaded_at_once_stay_beside_each_other(spec, tmp_path):
    """As after a restart of Triton, by the watches of the live release and of one under trial."""

    class Restarted(FakeTriton):
        async def ready_versions(self, model):
            await asyncio.sleep(0)
            return self.ready

        async def load(self, model, config_text, versions, timeout_s):
            await asyncio.sleep(0)
            self.ready = tuple(versions)

    triton = Restarted(UNIT)
    with ThreadPoolExecutor(1) as workers:
        loader = ModelLoader(triton, tmp_path, workers, shared=False)
        both = (replace(loader, shared=True), replace(loader, shared=True))
        models = [ServedModel(triton, spec, version) for version in (1, 2)]
        await asyncio.gather(*(one.load(model) for one, model in zip(both, models, strict=True)))
        assert triton.ready == (1, 2)
        await asyncio.gather(both[0].reload(models[0]), both[1].load(models[1]))
    assert triton.ready == (1, 2)


async def test_what_is_served_already_is_not_started_again_beside_it(spec, tmp_path):
    """Another release with the same encoder: its canaries are compared, a few rows at once, and that is all."""

    class Repeating(FakeTriton):
        async def infer(self, model, version, inputs, *, output, timeout_s):
            answer = await super().infer(model, version, inputs, output=output, timeout_s=timeout_s)
            return np.repeat(answer, len(inputs["input_ids"]), axis=0)

    triton = Repeating(UNIT)
    rows = {name: np.repeat(array, 5, axis=0) for name, array in batch(3).items()}
    several = replace(spec, canaries=(Canary(rows, np.repeat(UNIT, 5, axis=0)),))
    with ThreadPoolExecutor(1) as workers:
        loader = ModelLoader(triton, tmp_path, workers, shared=False)
        await loader.serve(spec, LineProgress(str))
        triton.ready = (1,)
        triton.calls.clear()
        triton.batches.clear()
        beside = replace(loader, beside=True)
        await beside.serve(several, LineProgress(str))
        assert not triton.calls
        assert [len(inputs["input_ids"]) for inputs in triton.batches] == [2, 2, 1]
        triton.answer = -UNIT
        with pytest.raises(ReleaseRejected, match="encodes the canary texts differently"):
            await beside.serve(several, LineProgress(str))


@pytest.mark.parametrize("gone", ["unloaded", "another way", "another file", "Triton of others"])
async def test_what_is_not_served_just_so_is_loaded_beside_what_is(spec, triton, tmp_path, gone):
    with ThreadPoolExecutor(1) as workers:
        loader = ModelLoader(triton, tmp_path, workers, shared=False)
        await loader.serve(spec, LineProgress(str))
        triton.ready = () if gone == "unloaded" else (1,)
        triton.calls.clear()
        triton.batches.clear()
        beside, other = replace(loader, beside=True), spec
        if gone == "another way":
            other = replace(spec, config=EncoderVariant(on_gpu=True).config_of(spec.config.entry, spec.sha256))
        elif gone == "another file":
            (tmp_path / "other.onnx").write_bytes(b"another")
            other = replace(spec, file=tmp_path / "other.onnx", sha256=hashlib.sha256(b"another").hexdigest())
        elif gone == "Triton of others":
            beside = replace(loader, beside=True, shared=True)
        await beside.serve(other, LineProgress(str))
    assert triton.calls == [("load", 1, 2) if gone == "another file" else ("load", 1)]
    assert lengths(triton) == [3, 16, 32]


async def test_another_model_is_refused(load, spec, triton):
    triton.answer = -UNIT
    with pytest.raises(ReleaseRejected, match="not the encoder of release r1: it encodes the canary texts differently"):
        await load(spec)


@pytest.mark.parametrize("error", [ModelUnavailable("index out of range"), DeadlineExceeded("slow")])
async def test_canaries_that_cannot_be_answered_refuse_the_release(load, spec, triton, error):
    triton.answer = error
    with pytest.raises(ReleaseRejected, match=f"cannot answer the canaries of release r1: {error}; do Triton and"):
        await load(spec)


async def test_a_length_that_fails_refuses_the_release(load, spec, triton):
    class Short(FakeTriton):
        async def infer(self, model, version, inputs, **how):
            if inputs["input_ids"].shape[1] > 16:
                raise ModelUnavailable("too long")
            return UNIT

    triton.infer = Short(UNIT).infer
    with pytest.raises(ReleaseRejected, match=r"warm-up of the encoder with input_ids \[1, 32\].*too long"):
        await load(spec)


async def test_an_unresponsive_model_is_restarted(load, spec, triton):
    triton.errors = [TritonUnresponsive("its process stood still")]
    _, steps = await load(spec)
    assert triton.calls == [("load", 1), ("wait",), ("unload",), ("load", 1)]
    assert "Triton is unresponsive; restarting the model" in steps


async def test_what_the_configuration_cannot_serve_never_reaches_triton(load, spec, triton):
    entry = replace(MANIFEST.encoder, precision="int8")
    with pytest.raises(ReleaseRejected, match="doesn't serve int8"):
        await load(replace(spec, config=EncoderVariant("openvino").config_of(entry, spec.sha256)))
    assert triton.calls == []


async def test_tritons_refusal_is_explained(load, spec, triton):
    class Explained(TrainedModelConfig):
        def explained(self, error, version_folder):
            return ReleaseRejected(f"{error}, in {version_folder.name}")

    async def refuse(*_):
        raise ReleaseRejected("no")

    triton.load = refuse
    config = Explained(ModelEntry("", "ranker", "", 2, 1, 4, 8, (), 0.0))
    with pytest.raises(ReleaseRejected, match=r"^no, in 1$"):
        await load(replace(spec, config=config))


def test_a_model_that_the_program_does_not_know_is_refused(trained_release):
    manifest = trained_release.manifest
    models = {"oracle": manifest.models["ranker"], "ranker": replace(manifest.models["ranker"], triton_model="other")}
    changed = replace(trained_release, manifest=replace(manifest, models=models))
    for name in models:
        with pytest.raises(ReleaseRejected, match=f"has a model {name} that this program doesn't know"):
            trained_model_spec(changed, name, (Canary({}, UNIT),))


@pytest.mark.parametrize("name", [None, "openvino", "openvino-bfloat16", "onnxruntime-tensorrt"])
async def test_the_named_configuration_is_what_triton_is_sent(workshop, trained_release, tmp_path, name):
    """It comes with the load, and so takes the place of whatever stands in the model's folder."""
    triton = TorchTriton(workshop.model, trained_release.path / "models/encoder.onnx", np.arange(COUNT))
    await load_with(triton, trained_release, tmp_path / "models", name)
    entry = trained_release.manifest.encoder
    limits = (entry.max_tokens, entry.max_batch_size)
    assert triton.configs["encoder"] == (encoder_config(*limits) if name is None else named_configs(*limits)[name])


class OtherNumbers(TorchTriton):
    """A Triton whose OpenVINO gives other vectors than the release has."""

    openvino = False

    async def load(self, model, config_text, versions, timeout_s):
        self.openvino = 'backend: "openvino"' in config_text
        await super().load(model, config_text, versions, timeout_s)

    async def infer(self, model, version, inputs, *, output, timeout_s):
        answer = await super().infer(model, version, inputs, output=output, timeout_s=timeout_s)
        return np.roll(answer, 1, axis=1) if self.openvino and model == "encoder" else answer


@pytest.mark.parametrize("kind", [TorchTriton, OtherNumbers])
async def test_bfloat16_serves_only_where_its_canaries_are_the_releases(
    workshop, trained_release, tmp_path, kind, monkeypatch
):
    monkeypatch.setattr(encoder_choice, "_SMALLEST_BFLOAT16_BYTES", 0)
    triton = kind(workshop.model, trained_release.path / "models/encoder.onnx", np.arange(COUNT))
    with ThreadPoolExecutor(2) as workers:
        models = ModelLoader(triton, tmp_path / "models", workers, shared=False)
        machine = Machine(2, "amx_bf16", has_openvino=True)
        live = await ReleaseLoader(models, Metrics(), 0.3, machine=machine).load(trained_release)
    served = "onnxruntime" if kind is OtherNumbers else "openvino"
    assert f'backend: "{served}"' in triton.configs["encoder"]
    assert live.encoder.batcher is not None


class OtherLogits(TorchTriton):
    """A Triton whose OpenVINO gives other logits than the release has."""

    async def infer(self, model, version, inputs, *, output, timeout_s):
        answer = await super().infer(model, version, inputs, output=output, timeout_s=timeout_s)
        return answer + 1 if model == "ranker" and 'backend: "openvino"' in self.configs[model] else answer


@pytest.mark.parametrize(
    ("kind", "native", "ranker"),
    [(TorchTriton, True, "openvino"), (OtherLogits, True, "onnxruntime"), (TorchTriton, False, "onnxruntime")],
)
async def test_trained_models_run_natively_where_their_canaries_are_the_releases(  # noqa: PLR0917
    workshop, trained_release, tmp_path, kind, native, ranker
):
    triton = kind(workshop.model, trained_release.path / "models/encoder.onnx", np.arange(COUNT))
    with ThreadPoolExecutor(2) as workers:
        models = ModelLoader(triton, tmp_path / "models", workers, shared=False)
        machine = Machine(2, "", has_openvino=True, native=native)
        live = await ReleaseLoader(models, Metrics(), 0.3, machine=machine).load(trained_release)
    assert f'backend: "{ranker}"' in triton.configs["ranker"]
    assert f'backend: "{"openvino" if native else "onnxruntime"}"' in triton.configs["user_tower"]
    assert 'backend: "onnxruntime"' in triton.configs["encoder"]
    await live.encoder.batcher.aclose()


async def test_a_plan_is_served_only_where_it_lies_beside_the_encoder(workshop, trained_release, tmp_path):
    """Nothing reaches Triton before the plan has been held to the release."""
    triton = TorchTriton(workshop.model, trained_release.path / "models/encoder.onnx", np.arange(COUNT))
    with pytest.raises(ReleaseRejected, match="needs a plan"):
        await load_with(triton, trained_release, tmp_path / "models", "tensorrt")
    assert "encoder" not in triton.configs
    entry = trained_release.manifest.encoder
    profiles = length_profiles(entry.max_tokens, entry.max_batch_size)
    sha256 = trained_release.manifest.files[entry.file].sha256
    folder = tmp_path / "models/encoder/1"
    (folder / "model.plan").write_bytes(b"plan")
    write_record(folder, PlanKey(sha256, "11.0.0.114", "8.9", "float32", profiles))
    await load_with(triton, trained_release, tmp_path / "models", "tensorrt")
    assert 'backend: "tensorrt"' in triton.configs["encoder"]


async def test_the_encoders_languages_come_from_the_manifest(workshop, trained_release, tmp_path):
    triton = TorchTriton(workshop.model, trained_release.path / "models/encoder.onnx", np.arange(COUNT))

    def named(*languages):
        encoder = replace(trained_release.manifest.encoder, languages=languages)
        return replace(trained_release, manifest=replace(trained_release.manifest, encoder=encoder))

    detector, unused = LanguageDetector(), LanguageDetector()
    with ThreadPoolExecutor(2) as workers:
        models = ModelLoader(triton, tmp_path / "models", workers, shared=False)
        for release, one in ((named("en"), detector), (named(), unused)):
            live = await ReleaseLoader(models, Metrics(), 0.3, detector=one).load(release)
            await live.encoder.batcher.aclose()
            seen = live.languages.unsupported("un film tranquille sur la mer")
            assert seen == ("fr" if live.languages.tags else None)
    assert detector.opened
    assert not unused.opened


async def load_with(triton, folder, repository, name):
    with ThreadPoolExecutor(2) as workers:
        models = ModelLoader(triton, repository, workers, shared=False)
        loader = ReleaseLoader(models, Metrics(), 0.3, EncoderWishes(config=name))
        release = await loader.load(folder)
        await release.encoder.batcher.aclose()
