"""The files of a release, read into memory: each once, and only where they fit one another."""

import builtins
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import pytest

from core.ranking.item_facts import ItemFacts
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.popular import PopularSource
from core.retrieval.registry import TABLE_SOURCES
from domain import release_folder as layout
from domain.durable import sha256_of
from domain.errors import ReleaseRejected
from domain.manifest import FileEntry
from domain.release_folder import ReleaseFolder
from server.release.canaries import CanaryFile
from server.release.data import read_release
from tests.support.trained import COUNT, WIDTH, item_ids


@pytest.fixture(scope="module")
def data(trained_release):
    return read(trained_release)


@pytest.fixture
def copy(trained_release, tmp_path):
    """A release to be damaged."""
    return ReleaseFolder(Path(shutil.copytree(trained_release.path, tmp_path / "copy")), trained_release.manifest)


def as_if_built_so(release):
    """Digests that fit the damaged files: only what the files hold is refused."""
    files = {
        name: FileEntry(sha256_of(release.path / name), (release.path / name).stat().st_size)
        for name in release.manifest.files
    }
    return replace(release, manifest=replace(release.manifest, files=files))


def read(folder):
    return read_release(folder, CanaryFile.read(folder))


def test_all_that_was_trained_is_there(data):
    assert list(data.items.ids) == item_ids()
    assert data.index.vectors.shape == (COUNT, WIDTH)
    assert {name: len(table) for name, table in data.tables.items()} == dict.fromkeys(
        TABLE_SOURCES.keys() - {"similar_users"}, COUNT
    )
    assert data.student.dimension == WIDTH
    assert data.rank_scaling.calibration.slope == pytest.approx(0.7)
    assert data.thresholds == data.manifest.thresholds


def test_the_rankers_facts_are_those_of_the_items(data):
    expected = ItemFacts.of_items([data.items.item(row) for row in range(COUNT)])
    facts = data.item_facts
    np.testing.assert_array_equal(facts.categories, expected.categories)
    np.testing.assert_array_equal(facts.log_price, expected.log_price)
    assert facts.vectors is data.index.vectors
    assert facts.neighbour_rows is data.tables["collaborative"].table.rows
    assert facts.transition_rows is data.tables["next_item"].table.rows
    assert facts.tower_vectors is data.tower_vectors
    assert facts.log_popularity is data.tables["popular"].log_prior


def test_a_release_without_a_ranker_keeps_no_facts(trained_release):
    models = {name: entry for name, entry in trained_release.manifest.models.items() if name != "ranker"}
    data = read(replace(trained_release, manifest=replace(trained_release.manifest, models=models)))
    assert data.item_facts is None
    assert data.rank_scaling is None


def test_every_text_file_is_opened_once(trained_release, monkeypatch):
    opened = []
    real = io.open

    def noted(file, *arguments, **how):
        if isinstance(file, str | Path) and ".shortlist-release-" not in str(file):
            opened.append(Path(file).name)
        return real(file, *arguments, **how)

    monkeypatch.setattr(io, "open", noted)
    monkeypatch.setattr(builtins, "open", noted)
    read(trained_release)
    assert opened.count(layout.ITEMS) == opened.count(layout.CANARY) == 1


def test_the_encoders_canaries_are_the_first_text_alone_and_then_all_in_full_batches(trained_release, data):
    content = json.loads((trained_release.path / layout.CANARY).read_text())
    alone, *batches = data.canaries["encoder"]
    assert alone.inputs["attention_mask"].all()
    assert len(alone.answer) == 1
    sizes = [len(batch.answer) for batch in batches]
    assert sum(sizes) == len(content["texts"])
    assert set(sizes[:-1]) <= {trained_release.manifest.encoder.max_batch_size}
    np.testing.assert_allclose(np.concatenate([batch.answer for batch in batches]), content["vectors"], atol=1e-7)
    np.testing.assert_array_equal(alone.answer, batches[0].answer[:1])


def other_count(path):
    np.save(path / PopularSource.file, PopularSource(np.zeros(COUNT - 1, np.float32)).log_prior)


def other_table(path):
    rows = np.full((COUNT + 1, 2), -1, np.int32)
    NeighbourTable(rows, np.zeros(rows.shape, np.float32)).save(path / CollaborativeSource.file)


def other_vectors(path):
    np.save(path / layout.VECTORS, np.load(path / layout.VECTORS)[1:])


def long_vectors(path):
    np.save(path / layout.VECTORS, 2 * np.load(path / layout.VECTORS))


def other_tower(path):
    np.save(path / layout.TOWER_VECTORS, np.load(path / layout.TOWER_VECTORS)[:, 1:])


def no_canaries(path):
    (path / layout.CANARY).write_text(json.dumps({"texts": []}))


def short_scaler(path):
    (path / layout.SCALER).write_text(json.dumps({"mean": [0], "scale": [1], "slope": 1, "intercept": 0}))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (other_count, f"popularity.npy: not about {COUNT} items"),
        (other_table, f"neighbours.npz: not about {COUNT} items"),
        (other_vectors, "the manifest says"),
        (long_vectors, "unit"),
        (other_tower, "tower_vectors.npy is float32"),
        (no_canaries, "vectors"),
        (short_scaler, "scaler.json is not for"),
    ],
)
def test_files_that_do_not_fit_are_refused(copy, damage, expected):
    damage(copy.path)
    with pytest.raises(ReleaseRejected, match=expected) as refused:
        read(as_if_built_so(copy))
    assert "build the release again" in str(refused.value)


def test_a_ranker_of_other_features_is_refused(trained_release):
    manifest = trained_release.manifest
    ranker = replace(manifest.models["ranker"], feature_names=("another",))
    changed = replace(manifest, models={**manifest.models, "ranker": ranker})
    with pytest.raises(ReleaseRejected, match="takes other features"):
        read(replace(trained_release, manifest=changed))


def test_scenes_that_a_release_brings_are_read_with_it(copy):
    assert read(copy).scenes.by_name == {}
    path = copy.path / layout.SCENES
    path.write_text("[scenes.home]\nk = 3\nconditions = ['price<20']\n")
    files = {**copy.manifest.files, layout.SCENES: FileEntry("", 0)}
    copy = replace(copy, manifest=replace(copy.manifest, files=files))
    release = as_if_built_so(copy)
    assert read(release).scenes.by_name["home"].k == 3
    path.write_text("[scenes.home]\nk = -3\n")
    with pytest.raises(ReleaseRejected, match=r"scenes\.home\.k"):
        read(as_if_built_so(copy))


def test_releases_with_the_same_tokenizer_share_it_while_one_is_used(trained_release):
    known = WeakValueDictionary()
    first = CanaryFile.read(trained_release, known)
    assert CanaryFile.read(trained_release, known).tokenizer is first.tokenizer
    entry = trained_release.manifest.encoder
    shorter = replace(trained_release.manifest, encoder=replace(entry, max_tokens=entry.max_tokens // 2))
    assert CanaryFile.read(replace(trained_release, manifest=shorter), known).tokenizer is not first.tokenizer
    del first
    assert not known
