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
from domain.progress import SilentProgress
from domain.release_folder import current_release_id, verify
from export.parts.model_folder import open_model_folder
from export.parts.quality import Quality, unlike, worse_metrics
from export.release.build import build_release
from tests.support.small_model import write_model
from tests.support.trained import COUNT, WIDTH, item_ids

pytestmark = pytest.mark.xdist_group("workshop")


class Said(SilentProgress):
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
    assert bool(worse_metrics(Quality("p", {name: now}), Quality("p", {name: before}))) is worse
    assert worse_metrics(Quality("p", {}), Quality("p", {name: before})) == ()


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


def _of_newer_events(workshop, folder, **against):
    """Returns a model of newer events, with the record of a comparison where one is given."""
    model = write_model(folder, item_ids(), dimension=WIDTH, recall=0.1, parts=("collaborative",))
    quality = json.loads((model / "quality.json").read_text())
    quality["data"]["interactions_sha256"] = "1" * 16
    if against:
        quality["against"] = {"metric": "ndcg_at_100", "case_count": 9, "unseen": True, **against}
        quality["against"]["difference"] = {"point": 0.0, "low": -0.3, "high": 0.2}
    (model / "quality.json").write_text(json.dumps(quality))
    run = json.loads((model / "run.json").read_text())
    (model / "run.json").write_text(json.dumps({**run, "split": {"protocol": None}}))
    return model


def test_a_model_of_newer_events_is_refused_until_it_is_compared(workshop, trained_release, tmp_path):
    current = trained_release.manifest.release_id
    model = _of_newer_events(workshop, tmp_path / "model")
    with pytest.raises(ReleaseRejected, match=rf"interactions_sha256.*--against .*{current}"):
        workshop.build(model)
    # A comparison with another release says nothing of this one.
    other = _of_newer_events(workshop, tmp_path / "other", release="20200101-000000-000000", now=0.3, before=0.2)
    with pytest.raises(ReleaseRejected, match="--against"):
        workshop.build(other)
    said = Said()
    build_release(workshop.request(model, promote=False, accept_worse=True), said)
    assert any("not compared" in line and "interactions_sha256" in line for line in said.lines)


def test_a_comparison_decides_over_a_model_of_newer_events(workshop, trained_release, tmp_path):
    current = trained_release.manifest.release_id
    worse = _of_newer_events(workshop, tmp_path / "worse", release=current, now=0.19, before=0.2)
    with pytest.raises(ReleaseRejected, match=r"worse than the current release: ndcg_at_100 0\.1900, was 0\.2000"):
        workshop.build(worse)
    better = _of_newer_events(workshop, tmp_path / "better", release=current, now=0.21, before=0.2)
    release = workshop.build(better, promote=False)
    assert release.manifest.parents == (current,)
    assert "ndcg_at_100 0.2100, was 0.2000 with the release" in (release.path / layout.CARD).read_text()


def test_a_model_without_interactions_cannot_be_compared_and_that_is_said(workshop, trained_release, tmp_path):
    model = _of_newer_events(workshop, tmp_path / "model")
    run = json.loads((model / "run.json").read_text())
    (model / "run.json").write_text(json.dumps({**run, "split": None}))
    said = Said()
    build_release(workshop.request(model, promote=False), said)
    assert any("trained without interactions" in line for line in said.lines)


def _record_text(model, attributes, max_tokens):
    run = json.loads((model / "run.json").read_text())
    run["text"] = {"attributes": attributes, "max_tokens": max_tokens}
    (model / "run.json").write_text(json.dumps(run))


def test_a_release_takes_the_text_template_of_the_training(workshop, copy):
    """No item has a brand any more, and one attribute is not among the common ones: the training's template holds."""
    _record_text(copy, ["category", "brand", "price"], 32)
    release = workshop.build(copy, promote=False)
    assert release.manifest.template.item_attributes == ("category", "brand", "price")


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

    def test_a_folder_of_an_earlier_version(self, copy):
        (copy / "run.json").write_text(json.dumps({"steps": {}}))
        assert "an earlier version of this program (format 1" in self.refusal(copy)
        assert "train again" in self.refusal(copy)

    def test_other_attributes_than_those_of_the_training(self, workshop, copy):
        _record_text(copy, ["category"], 32)
        with pytest.raises(ModelNotUsable, match=r"attributes price.*trained with category.*Leave the flags out"):
            build_release(workshop.request(copy, text_attributes=("price",)), SilentProgress())

    def test_another_cut_than_that_of_the_training(self, workshop, copy):
        _record_text(copy, ["category"], 24)
        with pytest.raises(ModelNotUsable, match=r"cut at 32 tokens .*trained with 24"):
            build_release(workshop.request(copy), SilentProgress())

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
