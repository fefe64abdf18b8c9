"""A model folder becomes part of a release, or is refused with the file and the reason."""

import json
import shutil

import numpy as np
import pytest

from core.ranking.blend import Blend, ProxyBlend
from core.ranking.features import FEATURE_NAMES
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.popular import PopularSource
from core.retrieval.source import SourceQuery
from core.scaling import POPULATION
from domain import release_folder as layout
from domain.errors import ModelNotUsable, ReleaseRejected
from domain.release_folder import current_release_id, verify
from export.parts.model_folder import open_model_folder
from export.parts.quality import Quality, unlike, worse_figures
from export.progress import Silence
from export.release.build import build_release
from tests.support.small_model import write_model
from tests.support.trained import COUNT, WIDTH, item_ids

pytestmark = pytest.mark.xdist_group("workshop")


class Said(Silence):
    """Keeps what was said."""

    def __init__(self):
        self.lines = []

    def step(self, message):
        self.lines.append(message)


@pytest.fixture
def copy(workshop, tmp_path):
    """A model folder to be damaged."""
    return shutil.copytree(workshop.model, tmp_path / "model")


def test_every_part_is_packed_with_its_figures(trained_release):
    verify(trained_release)
    manifest = trained_release.manifest
    assert set(manifest.models) == {"user_tower", "ranker"}
    assert manifest.models["ranker"].feature_names == FEATURE_NAMES
    assert manifest.models["user_tower"].input_width == WIDTH
    assert all(model.parity_worst_difference <= 1e-5 for model in manifest.models.values())
    assert (manifest.quality_protocol, manifest.quality) == ("warm-users", {"recall_at_20": 0.2})
    assert manifest.thresholds == {"semantic_history": -1.0}
    vectors = np.load(trained_release.path / layout.TOWER_VECTORS)
    assert vectors.shape == (COUNT, 17)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    card = (trained_release.path / layout.CARD).read_text()
    for told in ("warm-users", "recall_at_20 | 0.2000 | 0.1800 to 0.2200", "interactions: 1234", "Who may use it"):
        assert told in card


def test_a_release_without_a_model_has_no_such_parts(workshop, trained_release):
    plain = workshop.build(None, promote=False)
    assert (plain.manifest.models, plain.manifest.quality, plain.manifest.thresholds) == ({}, {}, {})
    assert not (plain.path / CollaborativeSource.file).exists()
    assert (plain.path / layout.CARD).is_file()


def test_a_worse_model_is_refused_unless_told_so(workshop, trained_release, tmp_path):
    worse = write_model(tmp_path / "worse", item_ids(), dimension=WIDTH, recall=0.1, parts=("collaborative",))
    before = sorted(workshop.releases.iterdir())
    with pytest.raises(ReleaseRejected, match=r"recall_at_20 0\.1000, was 0\.2000.*--accept-worse"):
        workshop.build(worse)
    assert sorted(workshop.releases.iterdir()) == before
    taken = workshop.build(worse, accept_worse=True, promote=False)
    assert taken.manifest.parents == (trained_release.manifest.release_id,)
    assert current_release_id(workshop.releases) == trained_release.manifest.release_id


@pytest.mark.parametrize(
    ("name", "now", "before", "worse"),
    [
        ("recall_at_20", 0.2, 0.2, False),
        ("recall_at_20", 0.19, 0.2, True),
        ("brier", 0.19, 0.2, False),
        ("brier", 0.21, 0.2, True),
    ],
)
def test_more_is_better_but_for_errors(name, now, before, worse):
    assert bool(worse_figures(Quality("p", {name: now}), Quality("p", {name: before}))) is worse
    assert worse_figures(Quality("p", {}), Quality("p", {name: before})) == ()


def test_the_blend_is_packed_where_no_ranker_was_kept(workshop, copy):
    blend = Blend({"user_tower": 1.0, "popular": -0.2}, {"user_tower": 30}, ProxyBlend({"popular": 1.0}, 20, 0.3))
    blend.save(copy / "blend.json")
    run = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**run, "steps": {"ranker": {"accepted": False}}}))
    release = workshop.build(copy, promote=False)
    verify(release)
    assert "ranker" not in release.manifest.models
    assert Blend.load(release.path / layout.BLEND) == blend


def test_only_figures_of_the_same_questions_are_compared():
    data = {"seed": 42, "interactions_sha256": "a"}
    found = Quality("p", {"ndcg": 0.1}, data)
    assert unlike(found, Quality("p", {"ndcg": 0.9}, dict(data))) == ""
    assert "interactions_sha256" in unlike(found, Quality("p", {}, {**data, "interactions_sha256": "b"}))
    assert "seed" in unlike(found, Quality("p", {}, {"interactions_sha256": "a"}))
    assert "protocol" in unlike(found, Quality("q", {}, data))
    assert "not known" in unlike(Quality("p", {}), Quality("p", {}))


def test_a_model_of_other_data_is_taken_and_that_is_said(workshop, trained_release, tmp_path):
    worse = write_model(tmp_path / "worse", item_ids(), dimension=WIDTH, recall=0.1, parts=("collaborative",))
    quality = json.loads((worse / "quality.json").read_text())
    quality["data"]["interactions_sha256"] = "1" * 16
    (worse / "quality.json").write_text(json.dumps(quality))
    said = Said()
    release = build_release(workshop.request(worse, promote=False), said)
    assert release.manifest.parents == (trained_release.manifest.release_id,)
    assert any("not held against" in line and "interactions_sha256" in line for line in said.lines)


def test_tables_move_to_the_rows_of_the_release(workshop, tmp_path):
    """Trained on the catalogue backwards, without its first ten items and with ten that are gone."""
    trained = [*reversed(item_ids()[10:]), *(f"gone-{number}" for number in range(10))]
    model = write_model(tmp_path / "model", trained, dimension=WIDTH, parts=("collaborative",))
    release = workshop.build(model, promote=False)
    table = NeighbourTable.load(release.path / CollaborativeSource.file)
    assert (table.rows[:10] == -1).all()
    assert table.rows[59, :5].tolist() == [58, 57, 56, 55, 54]
    # The neighbours of the catalogue's tenth item are all gone.
    assert (table.rows[10] == -1).all()
    assert (table.rows[12, :2].tolist(), table.rows[12, 2]) == ([11, 10], -1)
    prior = PopularSource.load(release.path / PopularSource.file)
    assert prior.search(SourceQuery(), 3, np.zeros(COUNT, bool))[0].tolist() == [59, 58, 57]


class TestRefused:
    def refusal(self, folder, workshop=None):
        with pytest.raises(ModelNotUsable) as caught:
            if workshop is None:
                open_model_folder(folder)
            else:
                workshop.build(folder)
        return str(caught.value)

    @pytest.mark.parametrize("name", ["run.json", "quality.json", "thresholds.json", "collaborative/items.json"])
    def test_a_broken_file_is_named(self, copy, name):
        (copy / name).write_text("{", encoding="utf-8")
        assert name in self.refusal(copy)

    def test_a_missing_file_is_named(self, copy):
        (copy / "collaborative/items.json").unlink()
        assert "items.json is missing" in self.refusal(copy)

    @pytest.mark.parametrize("name", ["collaborative/neighbours.npz", "collaborative/popularity.npy"])
    def test_a_cut_off_table_is_named(self, copy, name):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[: len(content) // 2])
        assert name in self.refusal(copy)

    def test_no_model_folder(self, tmp_path):
        assert "shortlist train" in self.refusal(tmp_path)

    @pytest.mark.parametrize(
        "content",
        [
            {"weights": {"moon": 1.0}},
            {"weights": {"user_tower": "much"}},
            {"weights": {}, "proxy": {"weights": {"moon": 1.0}, "nearest": 5, "temperature": 1}},
            {"weights": {}, "population": "everything"},
        ],
    )
    def test_weights_of_no_source(self, copy, content):
        (copy / "blend.json").write_text(json.dumps({"population": POPULATION, "list_lengths": {}, **content}))
        assert "blend.json" in self.refusal(copy)

    def test_an_interrupted_training(self, copy):
        (copy / ".unfinished-ranker").mkdir()
        assert "interrupted in the step ranker" in self.refusal(copy)

    @pytest.mark.parametrize("name", ["user_tower/model.safetensors", "ranker/model.safetensors"])
    def test_damaged_weights_leave_nothing_behind(self, workshop, trained_release, copy, name):
        (copy / name).write_bytes(b"no weights")
        before = sorted(workshop.releases.iterdir())
        assert name in self.refusal(copy, workshop)
        assert sorted(workshop.releases.iterdir()) == before

    def test_a_damaged_scaler(self, workshop, copy):
        shutil.rmtree(copy / "user_tower")
        (copy / "ranker/scaler.json").write_text('{"mean": []}')
        assert "scaler.json" in self.refusal(copy, workshop)

    def test_other_features(self, workshop, copy):
        shutil.rmtree(copy / "user_tower")
        settings = json.loads((copy / "ranker/settings.json").read_text())
        settings["feature_names"][0] = "phase_of_the_moon"
        (copy / "ranker/settings.json").write_text(json.dumps(settings))
        assert "other features" in self.refusal(copy, workshop)

    def test_other_items(self, workshop, tmp_path):
        other = write_model(tmp_path / "other", [f"x{n}" for n in range(8)], dimension=WIDTH)
        assert "trained on other items" in self.refusal(other, workshop)

    def test_other_dimensions(self, workshop, tmp_path):
        other = write_model(tmp_path / "other", item_ids(), dimension=WIDTH + 1, parts=("user_tower",))
        assert f"takes vectors of {WIDTH + 1} numbers, the encoder gives {WIDTH}" in self.refusal(other, workshop)
