import dataclasses
import hashlib
import json
import os
import resource
import shutil
import time

import psutil
import pytest

from core.triton.model_config import encoder_config
from domain.errors import ParityFailed, StorageError
from domain.progress import LineProgress
from domain.user_cache import user_cache
from export.encoder.source import resolve_encoder
from export.prepare_encoder import export_encoder, prepare_encoder


class Steps(list):
    """What on_step was told; `before` runs when a step begins that contains the word."""

    def __init__(self, word=None, before=None):
        super().__init__()
        self.word, self.before = word, before

    def __call__(self, step):
        self.append(step)
        if self.word is not None and self.word in step:
            self.before()


def everything_under(*folders):
    return sorted(str(path) for folder in folders if folder.exists() for path in folder.rglob("*"))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class MadeAnewError(Exception):
    """Raised instead of exporting, where it is enough to know that the cache wasn't taken."""


def made_anew():
    raise MadeAnewError


@pytest.fixture(scope="module")
def gated(shared_encoder, tmp_path_factory):
    """A cache with one entry, made once."""
    source = resolve_encoder(str(shared_encoder))
    return prepare_encoder(
        source, tmp_path_factory.mktemp("gated") / "cache", max_batch_size=4, progress=LineProgress(Steps())
    )


@pytest.fixture
def cache(gated, tmp_path):
    """A copy of that cache."""
    return shutil.copytree(gated.onnx.path.parent.parent, tmp_path / "cache")


@pytest.fixture
def entry(gated, cache):
    return cache / gated.onnx.path.parent.name


def test_export_installs_the_gated_file(gated, cache, tmp_path):
    repository, steps = tmp_path / "models", Steps()
    result = export_encoder(gated.source, repository, max_batch_size=4, cache=cache, progress=LineProgress(steps))
    assert result.version == 1
    assert result.path == repository / "encoder/1/model.onnx"
    assert sha256(result.path) == result.prepared.onnx.sha256 == sha256(result.prepared.onnx.path)
    assert (repository / "encoder/config.pbtxt").read_text() == encoder_config(64, 4)


def test_the_same_encoder_is_the_same_version_another_the_next(gated, cache, make_encoder, tmp_path):
    other = resolve_encoder(str(make_encoder(tmp_path / "other", seed=1)))
    steps = Steps()

    def version(source):
        return export_encoder(
            source, tmp_path / "models", max_batch_size=4, cache=cache, progress=LineProgress(steps)
        ).version

    assert [version(gated.source), version(other), version(gated.source), version(other)] == [1, 2, 1, 2]
    assert len([step for step in steps if step.startswith("exporting")]) == 1
    files = ["encoder/1/model.onnx", "encoder/2/model.onnx", "encoder/config.pbtxt"]
    assert [path for path in everything_under(tmp_path / "models") if "." in path.rpartition("/")[2]] == [
        str(tmp_path / "models" / file) for file in files
    ]


def test_a_config_that_does_not_fit_is_kept_and_told(gated, cache, tmp_path):
    config = tmp_path / "models/encoder/config.pbtxt"
    config.parent.mkdir(parents=True)
    config.write_text("# mine\n")
    steps = Steps()
    export_encoder(gated.source, tmp_path / "models", max_batch_size=4, cache=cache, progress=LineProgress(steps))
    assert config.read_text() == "# mine\n"
    assert "config.pbtxt is kept" in steps[-1]


def test_the_second_time_comes_from_the_cache(gated):
    steps = Steps()
    again = prepare_encoder(gated.source, gated.onnx.path.parent.parent, max_batch_size=4, progress=LineProgress(steps))
    assert (gated.from_cache, again.from_cache) == (False, True)
    assert (again.onnx, again.parity, again.source) == (gated.onnx, gated.parity, gated.source)
    assert len(steps) == 1


def test_the_record_lies_beside_the_file(gated):
    entry = gated.onnx.path.parent
    assert sorted(path.name for path in entry.iterdir()) == ["model.onnx", "record.json"]
    record = json.loads((entry / "record.json").read_text())
    assert record["onnx"]["sha256"] == sha256(gated.onnx.path)
    assert record["parity"]["worst_cosine"] == gated.parity.worst_cosine
    assert len(record["parity"]["cases"]) == len(gated.parity.cases)
    assert set(record["libraries"]) == {"torch", "transformers", "onnx", "onnxscript", "onnxruntime"}


@pytest.mark.parametrize(
    "change", [{"sha256": "0" * 64}, {"max_tokens": 48}, {"pad_token_id": 1}, {"max_batch_size": 5}], ids=str
)
def test_another_encoder_or_limit_is_checked_anew(gated, cache, change):
    batch_size = change.pop("max_batch_size", 4)
    source = dataclasses.replace(gated.source, **change)
    with pytest.raises(MadeAnewError):
        prepare_encoder(source, cache, max_batch_size=batch_size, progress=LineProgress(Steps("exporting", made_anew)))


@pytest.mark.parametrize("name", ["model.onnx", "record.json"])
@pytest.mark.parametrize("damage", [b"", b"{}", None])
def test_a_damaged_entry_is_not_used(gated, cache, entry, name, damage):
    (entry / name).unlink()
    if damage is not None:
        (entry / name).write_bytes(damage)
    with pytest.raises(MadeAnewError):
        prepare_encoder(gated.source, cache, max_batch_size=4, progress=LineProgress(Steps("exporting", made_anew)))


def test_one_flipped_bit_in_the_cached_file_is_noticed_and_mended(gated, cache, entry):
    content = bytearray((entry / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (entry / "model.onnx").write_bytes(content)
    again = prepare_encoder(gated.source, cache, max_batch_size=4, progress=LineProgress(Steps()))
    assert not again.from_cache
    assert sha256(entry / "model.onnx") == again.onnx.sha256 == gated.onnx.sha256
    assert [path.name for path in cache.iterdir()] == [entry.name]
    assert prepare_encoder(gated.source, cache, max_batch_size=4, progress=LineProgress(Steps())).from_cache


def test_an_entry_that_another_process_placed_meanwhile_is_used(gated, tmp_path):
    def meanwhile():
        shutil.copytree(gated.onnx.path.parent, tmp_path / "new" / gated.onnx.path.parent.name)

    late = prepare_encoder(
        gated.source, tmp_path / "new", max_batch_size=4, progress=LineProgress(Steps("checking", meanwhile))
    )
    assert late.from_cache
    assert [path.name for path in (tmp_path / "new").iterdir()] == [late.onnx.path.parent.name]


def test_what_a_killed_process_left_is_cleared(gated, cache):
    for name, age_s in ((".encoder-old", 7200), (".encoder-new", 60)):
        (cache / name).mkdir()
        os.utime(cache / name, (time.time() - age_s,) * 2)
    with pytest.raises(MadeAnewError):
        prepare_encoder(gated.source, cache, max_batch_size=5, progress=LineProgress(Steps("exporting", made_anew)))
    assert {path.name for path in cache.glob(".*")} == {".encoder-new"}


def test_a_failed_gate_leaves_nothing_behind(small_encoder, perturb, tmp_path):
    repository, cache = tmp_path / "models", tmp_path / "cache"
    source = resolve_encoder(str(small_encoder))
    steps = Steps("checking", lambda: perturb(small_encoder, 0.05))
    with pytest.raises(ParityFailed, match=r"length \d+ unpadded, batch of 1: cosine to torch"):
        export_encoder(source, repository, max_batch_size=4, cache=cache, progress=LineProgress(steps))
    assert everything_under(repository, cache) == []


def test_a_failed_gate_leaves_an_earlier_version_alone(gated, cache, small_encoder, perturb, tmp_path):
    repository = tmp_path / "models"
    export_encoder(gated.source, repository, max_batch_size=4, cache=cache, progress=LineProgress(Steps()))
    before = everything_under(repository)
    perturb(small_encoder, 0.01)
    bad = resolve_encoder(str(small_encoder))
    steps = Steps("checking", lambda: perturb(small_encoder, 0.05))
    with pytest.raises(ParityFailed):
        export_encoder(bad, repository, max_batch_size=4, cache=None, progress=LineProgress(steps))
    assert everything_under(repository) == before


@pytest.mark.parametrize(("word", "limit"), [("exporting", 20_000), ("checking", 500)])
def test_a_file_that_cannot_be_written_whole_leaves_nothing(small_encoder, tmp_path, word, limit):
    """A limit on the size of files stands for the full disk: the write ends in an OSError half way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    steps = Steps(word, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard)))
    try:
        with pytest.raises(StorageError, match="can't be written"):
            prepare_encoder(
                resolve_encoder(str(small_encoder)), tmp_path / "cache", max_batch_size=4, progress=LineProgress(steps)
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything_under(tmp_path / "cache") == []


def test_a_cache_that_is_a_file(small_encoder, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(StorageError, match=r"cache can't be written.*--cache"):
        prepare_encoder(
            resolve_encoder(str(small_encoder)), tmp_path / "cache", max_batch_size=4, progress=LineProgress(Steps())
        )


@pytest.mark.slow
@pytest.mark.usefixtures("releases")
def test_the_default_encoder_passes_its_gate(tmp_path):
    """Exported anew unless the sample's release had that done in this run, as on a clean checkout."""
    source, began = resolve_encoder(None), psutil.Process().create_time()
    usual = user_cache("export")
    of_this_run = [path for path in usual.glob("*/record.json") if path.stat().st_mtime > began]
    done = any(json.loads(path.read_text())["encoder_sha256"] == source.sha256 for path in of_this_run)
    cache = usual if done else tmp_path / "cache"
    result = export_encoder(source, tmp_path / "models", cache=cache, progress=LineProgress(Steps()))
    parity = result.prepared.parity
    assert parity.worst_cosine >= 0.999999
    assert parity.worst_difference <= 1e-6
    assert {case.batch_size for case in parity.cases} == {1, 3, 32}
    lengths = {case.length for case in parity.cases}
    assert lengths == {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256}
