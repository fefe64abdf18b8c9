"""A manifest's digest and the ranges of its fields."""

import dataclasses
import json
import random
import subprocess

import pytest

from domain import release_folder as layout
from domain.errors import ReleaseRejected
from domain.manifest import manifest_from_json, manifest_to_json
from domain.release_folder import open_release, write_manifest
from tests.support.fakes_server import MANIFEST


@pytest.fixture
def folder(tmp_path):
    write_manifest(tmp_path, MANIFEST)
    return tmp_path


def test_every_single_bit_flip_is_refused(folder):
    content = (folder / layout.MANIFEST).read_bytes()
    draw = random.Random(18)
    for _ in range(500):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        (folder / layout.MANIFEST).write_bytes(damaged)
        with pytest.raises(ReleaseRejected):
            open_release(folder)
    (folder / layout.MANIFEST).write_bytes(content)
    assert open_release(folder).manifest == MANIFEST


@pytest.mark.parametrize("content", ["", "x\n", f"{'0' * 64}  manifest.json\n", "\xff"])
def test_another_digest_is_refused(folder, content):
    (folder / layout.MANIFEST_SUM).write_text(content, encoding="latin-1")
    with pytest.raises(ReleaseRejected):
        open_release(folder)


def test_a_release_without_the_digest_says_how_to_make_it(folder):
    (folder / layout.MANIFEST_SUM).unlink()
    with pytest.raises(ReleaseRejected, match=r"run `sha256sum manifest\.json > manifest\.sha256` in it"):
        open_release(folder)
    with (folder / layout.MANIFEST_SUM).open("wb") as stream:
        subprocess.run(["sha256sum", layout.MANIFEST], cwd=folder, stdout=stream, check=True)
    assert open_release(folder).manifest == MANIFEST


def changed(path, value):
    """Returns the manifest as JSON with another value at a path such as "encoder.max_tokens"."""
    raw = json.loads(manifest_to_json(MANIFEST))
    place = raw
    *outer, last = path.split("/")
    for name in outer:
        place = place[name]
    place[last] = value
    return json.dumps(raw)


MODEL = {
    "file": "models/ranker.onnx", "triton_model": "ranker", "source_sha256": "0" * 64, "input_width": 4,
    "output_width": 1, "max_length": 10, "max_batch_size": 8, "feature_names": [], "parity_worst_difference": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("release_id", ""),
        ("release_id", ".."),
        ("release_id", "a/b"),
        ("release_id", "r\x1b[2J"),
        ("release_id", "r" * 129),
        ("parents", ["a b"]),
        ("created", "2026\x1b]0;x\x07"),
        ("item_count", 0),
        ("item_count", -1),
        ("available_count", 4),
        ("dimension", 0),
        ("dimension", 10**9),
        ("encoder/max_tokens", 0),
        ("encoder/max_tokens", 10**18),
        ("encoder/max_batch_size", 0),
        ("encoder/pad_token_id", -1),
        ("encoder/parity_worst_cosine", float("nan")),
        ("encoder/pooling", "meam"),
        ("encoder/precision", "float64"),
        ("encoder/family", "be rt"),
        ("encoder/languages", ["EN"]),
        ("encoder/file", "/etc/passwd"),
        ("encoder/triton_model", "../x"),
        ("encoder/source_sha256", "xyz"),
        ("graph/m", 0),
        ("graph/ef_search", -5),
        ("graph/ef_search", 0),
        ("graph/recall_at_10", 1.5),
        ("text/unknown_token_share", -0.1),
        ("text/truncated_item_count", 4),
        ("text/indistinct_item_count", -1),
        ("text/unreadable_item_count", 4),
        ("text/foreign_item_count", 4),
        ("text/foreign_item_count", -1),
        ("template/wordings/en/verbs", {"view": "viewed"}),
        ("template/wordings/en/verbs/view", " "),
        ("template/wordings/en/verbs/view", "view\x7fed"),
        ("template/wordings", {}),
        ("files/items.jsonl/sha256", "0" * 63),
        ("files/items.jsonl/size_bytes", -1),
        ("quality/recall", float("inf")),
        ("models", {"ranker": {**MODEL, "max_length": 0}}),
        ("models", {"ranker": {**MODEL, "parity_worst_difference": -1.0}}),
        ("thresholds", {"popular": float("nan")}),
    ],
)
def test_a_field_out_of_its_range_is_refused_and_named(path, value):
    with pytest.raises(ReleaseRejected, match="is damaged") as refused:
        manifest_from_json(changed(path, value))
    assert path.split("/")[-1] in str(refused.value) or path.split("/")[0] in str(refused.value)


def test_the_ends_of_the_ranges_are_allowed():
    edge = dataclasses.replace(
        MANIFEST,
        release_id="A0_.-" + "x" * 123,
        available_count=3,
        models={},
        quality={"mrr": -0.5},
        encoder=dataclasses.replace(MANIFEST.encoder, parity_worst_cosine=1.0000002, query_prompt="query:\n\tü"),
    )
    assert manifest_from_json(manifest_to_json(edge)) == edge
    assert manifest_from_json(changed("models", {"ranker": MODEL})).models["ranker"].max_length == 10
