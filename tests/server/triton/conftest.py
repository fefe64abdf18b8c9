"""A tiny encoder as an ONNX file, and the real Triton from its own environment."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.triton.model_config import encoder_config
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton, EmbeddedTritonSettings

VOCABULARY = 100


@pytest.fixture(scope="session")
def save_encoder():
    """Writes an encoder of the right signature: gather, masked mean, normalise."""

    def save(path: Path, *, seed: int = 0, width: int = 8, input_name: str = "input_ids") -> Path:
        table = np.random.default_rng(seed).standard_normal((VOCABULARY, width)).astype(np.float32)
        nodes = [
            helper.make_node("Gather", ["table", input_name], ["tokens"]),
            helper.make_node("Cast", ["attention_mask"], ["weights"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["weights", "two"], ["column"]),
            helper.make_node("Mul", ["tokens", "column"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "one"], ["total"], keepdims=0),
        ]
        # An empty mask gives 0 / 0.
        nodes.append(helper.make_node("ReduceL2", ["total", "one"], ["length"], keepdims=1))
        nodes.append(helper.make_node("Div", ["total", "length"], ["sentence_embedding"]))
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length_"])
            for name in (input_name, "attention_mask")
        ]
        outputs = [helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", width])]
        constants = [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "one"),
            numpy_helper.from_array(np.array([2], dtype=np.int64), "two"),
        ]
        graph = helper.make_graph(nodes, "encoder", inputs, outputs, constants)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
        return path

    return save


@pytest.fixture(scope="session")
def in_process():
    """The oracle: ONNX Runtime without Triton."""

    def run(path: Path, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(None, {"input_ids": input_ids, "attention_mask": attention_mask})[0]

    return run


@pytest.fixture
def texts():
    """Random token ids and masks: rows x tokens, each row at least one token long."""

    def make(row_count: int, token_count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(seed)
        input_ids = random.integers(0, VOCABULARY, (row_count, token_count), dtype=np.int64)
        lengths = random.integers(1, token_count + 1, (row_count, 1))
        return input_ids, (np.arange(token_count) < lengths).astype(np.int64)

    return make


@pytest.fixture(scope="session")
def triton_env() -> Path:
    path = Path(__file__).parents[3] / ".venv-triton"
    if not (path / "bin").is_dir():
        pytest.skip("no .venv-triton: run `make setup`")
    return path


@pytest.fixture(autouse=True)
def no_triton_left_running():
    yield
    own = (path.read_text().split() for path in Path("/proc/self/task").glob("*/children"))
    left = [pid for pids in own for pid in pids if Path(f"/proc/{pid}/comm").read_text() == "tritonserver\n"]
    assert not left


@pytest.fixture(scope="session")
def state_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def repository(tmp_path, save_encoder) -> Path:
    """Versions 1 and 2 differ; 3, the highest, is broken."""
    root = tmp_path / "model_repository"
    save_encoder(root / "encoder/1/model.onnx", seed=1)
    save_encoder(root / "encoder/2/model.onnx", seed=2, width=12)
    (root / "encoder/3").mkdir()
    (root / "encoder/3/model.onnx").write_bytes(b"this is no model")
    (root / "encoder/config.pbtxt").write_text(encoder_config())
    return root


@pytest.fixture
def settings(tmp_path, triton_env, state_folder, repository) -> EmbeddedTritonSettings:
    return EmbeddedTritonSettings(
        triton_env=triton_env,
        model_repository=repository,
        state_folder=state_folder,
        log_path=tmp_path / "triton.log",
        exit_timeout_s=0,
    )


@pytest.fixture
def no_reload() -> Callable[[], Awaitable[None]]:
    async def nothing() -> None:
        pass

    return nothing


@pytest.fixture
async def triton(settings, no_reload):
    async with EmbeddedTriton(settings, no_reload) as embedded:
        yield embedded


@pytest.fixture
async def client(triton):
    async with TritonClient(triton.grpc_address) as opened:
        yield opened
