"""Who encodes makes no difference: the bytes are the same in one process, in several, and on Ray."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from datafiles.items import check_items
from domain.errors import EngineMissing, ReleaseRejected, WorkerLost
from domain.progress import SilentProgress
from domain.text import TextTemplate
from export.encoder.source import resolve_encoder
from export.prepare_encoder import prepare_encoder
from export.release.chunk import Chunk, ChunkEncoder, ChunkWork, EncodedChunk
from export.release.engines import Engine, InProcess, Processes
from export.release.stages import chunks_of, copy_encoder, write_items
from tests.support.running import ROOT
from tests.support.small_encoder import write_encoder

COUNT, CHUNK_ITEMS = 150, 16

# Encodes with two processes, says so at the first chunk, and stops there.
PARENT = """
import pickle, sys, time
from pathlib import Path
from export.release.engines import Processes
if __name__ == "__main__":
    work, chunks = pickle.loads(Path(sys.argv[1]).read_bytes())
    encoded = Processes(2).encode(work, chunks)
    next(encoded)
    print("encoding", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[ChunkWork, list[Chunk]]:
    """Texts of many lengths, so that batches of one, two and many rows occur."""
    folder = tmp_path_factory.mktemp("engines")
    draw = np.random.default_rng(5)
    words = [" ".join(f"word{n}" for n in draw.integers(0, 90, draw.integers(1, 50))) for _ in range(COUNT)]
    (folder / "items.csv").write_text("id,title\n" + "".join(f"{n},{title}\n" for n, title in enumerate(words)))
    source = resolve_encoder(str(write_encoder(folder / "encoder")))
    encoder = prepare_encoder(source, folder / "cache", max_batch_size=8, progress=SilentProgress())
    out = folder / "out"
    (out / "models").mkdir(parents=True)
    chunks = chunks_of(write_items(check_items(folder / "items.csv"), out, CHUNK_ITEMS))
    copy_encoder(encoder, out)
    work = ChunkWork(
        items=out / "items.jsonl",
        onnx=out / "models" / "encoder.onnx",
        tokenizer=out / "tokenizer.json",
        max_tokens=source.max_tokens,
        pad_token_id=source.pad_token_id,
        max_batch_size=8,
        prompt="word7 ",
        template=TextTemplate(),
        timestamps=frozenset(),
    )
    return work, chunks


def encoded_by(engine: Engine, work: ChunkWork, chunks: list[Chunk]) -> list[EncodedChunk]:
    found = sorted(engine.encode(work, chunks), key=lambda one: one.number)
    assert [one.number for one in found] == [chunk.number for chunk in chunks]
    return found


def same(left: list[EncodedChunk], right: list[EncodedChunk]) -> bool:
    names = ("vectors", "unreadable_share", "token_digest", "text_digest", "counts")
    pairs = zip(left, right, strict=True)
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for a, b in pairs for name in names)


def ray_engine() -> Engine:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -c constraints.txt -e '.[ray]'")
    from export.release.ray_engine import RayEngine

    return RayEngine(2)


@pytest.mark.parametrize("engine", [lambda: Processes(2), lambda: Processes(3), ray_engine], ids=["2", "3", "ray"])
def test_every_engine_gives_the_same_bytes(material: tuple[ChunkWork, list[Chunk]], engine) -> None:
    assert same(encoded_by(engine(), *material), encoded_by(InProcess(), *material))


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_the_number_of_threads_changes_no_byte(material: tuple[ChunkWork, list[Chunk]], threads: int) -> None:
    work, chunks = material
    encoder = ChunkEncoder(work, threads)
    assert same([encoder.encode(chunk) for chunk in chunks], encoded_by(InProcess(), work, chunks))


def test_a_chunk_has_its_own_rows_and_travels_whole(material: tuple[ChunkWork, list[Chunk]]) -> None:
    work, chunks = material
    assert [(chunk.first_row, chunk.count) for chunk in chunks[:2] + chunks[-1:]] == [(0, 16), (16, 16), (144, 6)]
    encoder = ChunkEncoder(work, 1)
    once = encoder.encode(chunks[-1])
    assert once.vectors.shape == (6, 32)
    assert same([EncodedChunk.from_bytes(once.to_bytes())], [once])
    # The prompt is read with every text.
    assert not np.array_equal(ChunkEncoder(replace(work, prompt=""), 1).encode(chunks[-1]).vectors, once.vectors)


@pytest.mark.parametrize("engine", [InProcess, lambda: Processes(2), ray_engine], ids=["here", "2", "ray"])
def test_an_encoder_that_cannot_be_used_is_refused(material: tuple[ChunkWork, list[Chunk]], engine, tmp_path) -> None:
    work, chunks = material
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(twice_as_long(work.onnx))
    with pytest.raises(ReleaseRejected, match="unit length"):
        list(engine().encode(replace(work, onnx=broken), chunks))


def twice_as_long(onnx_file: Path) -> bytes:
    """The encoder, but its vectors have length 2."""
    import onnx

    model = onnx.load(onnx_file)
    (output,) = model.graph.output
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name == output.name:
                node.output[place] = "unit"
    model.graph.node.append(onnx.helper.make_node("Add", ["unit", "unit"], [output.name]))
    return bytes(model.SerializeToString())


def test_a_killed_worker_is_told_and_nothing_hangs(material: tuple[ChunkWork, list[Chunk]]) -> None:
    encoded = Processes(2).encode(material[0], material[1] * 40)
    next(encoded)
    workers = [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    with pytest.raises(WorkerLost, match="one of 2 worker processes ended"):
        list(encoded)


def test_workers_end_with_a_build_that_is_killed(material: tuple[ChunkWork, list[Chunk]], tmp_path: Path) -> None:
    import pickle

    (tmp_path / "work").write_bytes(pickle.dumps((material[0], material[1] * 40)))
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py"), str(tmp_path / "work")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "encoding\n"
    workers = psutil.Process(parent.pid).children(recursive=True)
    assert len(workers) >= 2
    parent.kill()
    parent.wait()
    assert psutil.wait_procs(workers, timeout=60)[1] == []


def test_without_ray_it_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('none')")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        "from export.release.ray_engine import RayEngine; RayEngine(2)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"{EngineMissing.__name__}: --engine ray needs Ray: say pip install" in done.stderr
