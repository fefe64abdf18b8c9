"""Every family from torch to ranked items: sentence-transformers, ONNX behind the gate, one real Triton, retrieval.

The oracle is sentence-transformers itself, in torch, with the prompts, pooling and head that were saved.
"""

import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import torch
from sentence_transformers import SentenceTransformer

from datafiles.items import check_items
from domain.interpretation import TextInterpretation
from domain.manifest import FLOAT16, INT8
from domain.progress import SilentProgress
from domain.recommendation import DegradationReason, RecommendQuery, Source
from domain.release_folder import ReleaseFolder
from export.encoder.families import FAMILIES
from export.encoder.source import EncoderChoice, resolve_encoder
from export.precision.calibration import Precision
from export.prepare_encoder import prepare_encoder
from export.release.build import ReleaseRequest, build_release
from server.deadline import Deadline
from server.observability.metrics import Metrics
from server.recommender import Recommender
from server.release.live_release import LiveRelease
from server.release.loader import ReleaseLoader
from server.release.model_loader import ModelLoader
from server.rpc.call import Call, current_call
from server.rpc.embed import EmbedServicer
from server.settings import load_configuration
from server.trace import Trace
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton, EmbeddedTritonSettings
from shortlist.v1.embedding_pb2 import EmbedRequest
from tests.acceptance.test_review_aspects import CASES as REVIEWS
from tests.support.running import ROOT
from tests.support.small_families import POSITIONS, Layout, sentence_encoder

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

GELU, TANH, IDENTITY = torch.nn.GELU(), torch.nn.Tanh(), torch.nn.Identity()
LAYOUTS = {
    "bert": Layout("bert", "cls", head=((24, TANH, True),)),
    "roberta": Layout("roberta", "mean", query="query: ", passage="passage: "),
    "xlm-roberta": Layout("xlm-roberta", "cls", query="word1 word2: "),
    "distilbert": Layout("distilbert", "mean", normalised=False),
    "mpnet": Layout("mpnet", "mean"),
    "ernie": Layout("ernie", "cls", query="为这个句子找商品：", chinese=True),
    "modernbert": Layout("modernbert", "mean", query="search_query: ", passage="search_document: "),
    # As sentence-t5: a projection without bias.
    "t5": Layout("t5", "mean", head=((24, IDENTITY, False),)),
    # The head of an MLP, upon the last token.
    "gpt2": Layout("gpt2", "lasttoken", head=((48, GELU, True), (24, IDENTITY, True)), query="find: "),
}
QUERIES = (
    "word3 word14",
    "word15, please: something like word9 and word2; 12 of them",
    "x",
    "word59 word58 word57 word4",
)
CHINESE_QUERIES = (
    "质量好，价格公道",  # T1
    (ROOT / "tests/golden/history_zh.txt").read_text(encoding="utf-8").strip(),  # T4
    *(review for review in REVIEWS if not review.isascii()),  # T6
    "羊毛围巾",
)
SINGLE = {"lasttoken": "last"}
MAX_BATCH_SIZE = 4  # less than there are canaries


@dataclass(frozen=True)
class Served:
    """A family's release behind the shared Triton, and the model it came from."""

    layout: Layout
    oracle: SentenceTransformer
    release: ReleaseFolder
    live: LiveRelease
    recommender: Recommender
    texts: tuple[str, ...]
    request: ReleaseRequest


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def loader(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReleaseLoader]:
    """One Triton for all families: each is loaded as another version of the model `encoder`."""
    env = ROOT / ".venv-triton"
    if not (env / "bin" / "python").exists():
        pytest.skip("no Triton environment (.venv-triton); `make setup` makes it")
    folder = tmp_path_factory.mktemp("families")
    repository = folder / "models"
    repository.mkdir()

    async def nothing() -> None:
        pass

    settings = EmbeddedTritonSettings(env, repository, folder / "state", folder / "triton.log", exit_timeout_s=0)
    async with EmbeddedTriton(settings, nothing) as triton, TritonClient(triton.grpc_address) as client:
        with ThreadPoolExecutor(2) as workers:
            yield ReleaseLoader(ModelLoader(client, repository, workers, shared=False), Metrics(), 0.3)


def write_items(path: Path, chinese: bool) -> None:
    sample = [json.loads(line) for line in (ROOT / "sample/items.jsonl").read_text(encoding="utf-8").splitlines()]
    if chinese:
        told = [item for item in sample if item["category"] == "goods"][:40]
        lines = [{"id": item["id"], "title": item["title_zh"], "text": item.get("text_zh", "")} for item in told]
        lines += [
            {"id": item["id"], "title": item["title"]} for item in sample if item["id"].startswith("goods-zh-only")
        ]
    else:
        rng = np.random.default_rng(5)
        lines = [
            {"id": f"i{n:02}", "title": f"word{n}", "text": " ".join(f"word{w}" for w in rng.integers(0, 60, n % 12))}
            for n in range(40)
        ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(FAMILIES))
async def served(
    request: pytest.FixtureRequest, loader: ReleaseLoader, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    layout, folder = LAYOUTS[request.param], tmp_path_factory.mktemp(request.param)
    oracle = sentence_encoder(folder / "transformer", layout)
    oracle.save(str(folder / "encoder"), create_model_card=False)
    write_items(folder / "items.jsonl", layout.chinese)
    build = ReleaseRequest(
        catalogue=check_items(folder / "items.jsonl"),
        releases=folder / "releases",
        encoder=resolve_encoder(str(folder / "encoder")),
        cache=folder / "cache",
        max_batch_size=MAX_BATCH_SIZE,
    )
    release = build_release(build, SilentProgress())
    live = await loader.load(release)
    in_rows = sorted(build.catalogue.items(), key=lambda item: item.id)
    texts = tuple(f"{item.title}. {item.text}".removesuffix(". ") for item in in_rows)
    with ThreadPoolExecutor(1) as searchers:
        yield Served(layout, oracle, release, live, Recommender(lambda: live, searchers, 0.3), texts, build)
    await live.encoder.batcher.aclose()


async def ask(served: Served, text: str, k: int = 10):
    query = RecommendQuery(text=text, k=k, interpretation=TextInterpretation.OFF)
    return await served.recommender.recommend(query, Deadline.after(30.0), Trace())


async def embedded(served: Served, texts: tuple[str, ...], role: str) -> np.ndarray:
    """What the Embed call answers."""
    current_call.set(Call("/shortlist.v1.EmbeddingService/Embed", "r", Deadline.after(30.0), time.perf_counter()))
    servicer = EmbedServicer(lambda: served.live, load_configuration(None, {}, {}).settings.request_limits())
    reply = await servicer.Embed(EmbedRequest(texts=texts, role=f"TEXT_ROLE_{role}"), None)
    return np.asarray([list(one.vector) for one in reply.embeddings], dtype=np.float32)


def vectors(served: Served, texts: tuple[str, ...], prompt: str) -> np.ndarray:
    found = served.oracle.encode(list(texts), prompt=prompt, normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(found, dtype=np.float32)


async def test_the_manifest_says_how_texts_are_read(served: Served) -> None:
    entry, layout = served.release.manifest.encoder, served.layout
    assert (entry.family, entry.pooling) == (layout.family, SINGLE.get(layout.pooling, layout.pooling))
    assert (entry.query_prompt, entry.passage_prompt) == (layout.query, layout.passage)
    assert entry.parity_worst_cosine >= 0.99999
    assert served.release.manifest.dimension == served.oracle.get_embedding_dimension()
    assert served.release.manifest.text.unknown_token_share == 0
    assert served.release.manifest.text.unreadable_item_count == served.release.manifest.text.indistinct_item_count == 0


async def test_item_vectors_are_torchs_of_passages(served: Served) -> None:
    expected = vectors(served, served.texts, served.layout.passage)
    np.testing.assert_allclose(served.live.data.index.vectors, expected, atol=2e-5)


async def test_triton_answers_what_torch_does_in_any_company(served: Served) -> None:
    queries = CHINESE_QUERIES if served.layout.chinese else QUERIES
    roles = {"UNSPECIFIED": "", "QUERY": served.layout.query, "PASSAGE": served.layout.passage}
    for role, prompt in roles.items():
        expected = vectors(served, queries, prompt)
        np.testing.assert_allclose(await embedded(served, queries, role), expected, atol=2e-5)
        for row, alone in enumerate(queries):
            np.testing.assert_allclose(await embedded(served, (alone,), role), expected[row : row + 1], atol=2e-5)


async def test_retrieval_has_torchs_order(served: Served) -> None:
    queries = CHINESE_QUERIES if served.layout.chinese else QUERIES
    items = vectors(served, served.texts, served.layout.passage)
    rows = {item_id: row for row, item_id in enumerate(served.live.data.items.ids)}
    for text, query in zip(queries, vectors(served, queries, served.layout.query), strict=True):
        reply = await ask(served, text, k=128)
        assert {one.reason for one in reply.degradations} <= {DegradationReason.NOTHING_RELEVANT}
        assert reply.unknown_token_share == 0
        scores = items @ query
        nearest = {
            view.rank: item
            for item in reply.items
            for view in item.provenance
            if view.source == Source.SEMANTIC_TEXT and view.rank <= 10
        }
        # By score, since two items may be as near as rounding.
        found = [scores[rows[nearest[rank].id]] for rank in sorted(nearest)]
        assert found == pytest.approx(np.sort(scores)[::-1][:10].tolist(), abs=2e-5), text
        assert [nearest[rank].similarity for rank in sorted(nearest)] == pytest.approx(found, abs=2e-5)
        assert len({item.id for item in reply.items}) == len(reply.items)


@pytest.mark.parametrize("name", [FLOAT16, INT8])
async def test_each_precision_passes_its_gate(served: Served, name: str) -> None:
    """Made from the float32 file above; alone and in mixed batches, and a vector doesn't depend on its company."""
    source, cache = served.request.encoder, served.request.cache
    wanted = Precision(name, served.texts)
    prepared = prepare_encoder(
        source, cache, max_batch_size=MAX_BATCH_SIZE, progress=SilentProgress(), precision=wanted
    )
    assert (prepared.precision, prepared.onnx.dimension) == (name, served.release.manifest.dimension)
    assert prepared.gate is not None
    assert prepared.gate.worst_cosine >= {FLOAT16: 0.999, INT8: 0.98}[name]
    assert prepared.gate.company_min >= 0.9999
    assert prepared.onnx.sha256 != served.release.manifest.files["models/encoder.onnx"].sha256


async def test_the_prompt_of_queries_changes_what_is_found(served: Served) -> None:
    """Or the tests above would pass without one."""
    queries = CHINESE_QUERIES if served.layout.chinese else QUERIES
    difference = np.abs(vectors(served, queries, served.layout.query) - vectors(served, queries, "")).max()
    assert difference > 0.01 or served.layout.query == ""


async def test_flags_say_what_a_plain_folder_does_not(tmp_path: Path) -> None:
    """The same encoder, told once by modules.json and once by flags: the same description."""
    layout = Layout("gpt2", "lasttoken", head=((48, GELU, True), (24, TANH, False)), query="find: ")
    sentence_encoder(tmp_path / "plain", layout).save(str(tmp_path / "saved"), create_model_card=False)
    saved = resolve_encoder(str(tmp_path / "saved"))
    head = (tmp_path / "saved/2_Dense", tmp_path / "saved/3_Dense")
    choice = EncoderChoice(pooling="last", query_prompt="find: ", head=head)
    plain = resolve_encoder(str(tmp_path / "plain"), choice)
    told = [(one.pooling, one.query_prompt, one.passage_prompt, one.max_tokens, one.head) for one in (saved, plain)]
    assert told[0] == told[1]
    assert told[0][:4] == ("last", "find: ", "", POSITIONS)
    assert [(layer.kind, layer.width, layer.activation) for layer in plain.head] == [
        ("Dense", 48, "GELU"),
        ("Dense", 24, "Tanh"),
    ]
    assert plain.dimension == 24
    # The tokenizer's file is written anew when it is saved, so the digests need not agree.
    assert resolve_encoder(str(tmp_path / "saved"), EncoderChoice(head=())).dimension == 32
