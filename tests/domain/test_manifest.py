import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import ReleaseRejected
from domain.item import AttributeType
from domain.manifest import (
    SCHEMA_VERSION,
    EncoderEntry,
    FileEntry,
    GraphEntry,
    Manifest,
    ModelEntry,
    TextEntry,
    manifest_from_json,
    manifest_to_json,
)
from domain.text import HistoryWording, TextTemplate
from tests.support.fakes_server import MANIFEST

ENCODER_SINCE_3 = ("family", "pooling", "query_prompt", "passage_prompt", "precision")
WORD = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
COUNT = st.integers(0, 2**40)
SHARE = st.floats(allow_nan=False, allow_infinity=False)
MANIFESTS = st.builds(
    Manifest,
    schema_version=st.just(SCHEMA_VERSION),
    release_id=WORD,
    created=WORD,
    item_count=COUNT,
    available_count=COUNT,
    dimension=COUNT,
    encoder=st.builds(EncoderEntry, WORD, WORD, WORD, WORD, COUNT, COUNT, COUNT, SHARE, WORD, WORD, WORD, WORD, WORD),
    graph=st.builds(GraphEntry, COUNT, COUNT, COUNT, SHARE, COUNT),
    text=st.builds(TextEntry, SHARE, COUNT, COUNT),
    template=st.builds(
        TextTemplate,
        st.lists(WORD, max_size=2).map(tuple),
        WORD,
        WORD,
        st.dictionaries(
            WORD, st.builds(HistoryWording, st.dictionaries(WORD, WORD, max_size=2), WORD, WORD, WORD), max_size=2
        ),
    ),
    attribute_types=st.dictionaries(WORD, st.sampled_from(AttributeType), max_size=3),
    files=st.dictionaries(WORD, st.builds(FileEntry, WORD, COUNT), max_size=3),
    quality=st.dictionaries(WORD, SHARE, max_size=2),
    parents=st.lists(WORD, max_size=2).map(tuple),
    built_with=st.dictionaries(WORD, WORD, max_size=2),
    models=st.dictionaries(
        WORD,
        st.builds(
            ModelEntry, WORD, WORD, WORD, COUNT, COUNT, COUNT, COUNT, st.lists(WORD, max_size=3).map(tuple), SHARE
        ),
        max_size=2,
    ),
    thresholds=st.dictionaries(WORD, SHARE, max_size=2),
    quality_protocol=WORD,
)


@settings(deadline=None, max_examples=60)
@given(MANIFESTS)
def test_a_manifest_survives_json(manifest):
    assert manifest_from_json(manifest_to_json(manifest)) == manifest


def test_the_default_template_survives_too():
    manifest = dataclasses.replace(MANIFEST, template=TextTemplate(("tags",)))
    assert manifest_from_json(manifest_to_json(manifest)) == manifest


def test_a_manifest_of_version_1_has_no_models_no_thresholds_and_no_protocol():
    raw = json.loads(manifest_to_json(MANIFEST))
    for name in ("models", "thresholds", "quality_protocol"):
        del raw[name]
    for name in ENCODER_SINCE_3:
        del raw["encoder"][name]
    old = manifest_from_json(json.dumps({**raw, "schema_version": 1}))
    assert (old.models, old.thresholds, old.quality_protocol) == ({}, {}, "")
    assert old == dataclasses.replace(MANIFEST, schema_version=1)


def test_an_encoder_of_version_2_is_a_float32_bert_with_mean_pooling_and_no_prompts():
    raw = json.loads(manifest_to_json(MANIFEST))
    for name in ENCODER_SINCE_3:
        del raw["encoder"][name]
    old = manifest_from_json(json.dumps({**raw, "schema_version": 2}))
    assert tuple(getattr(old.encoder, name) for name in ENCODER_SINCE_3) == ("bert", "mean", "", "", "float32")
    assert old == dataclasses.replace(MANIFEST, schema_version=2)
    del raw["models"]
    with pytest.raises(ReleaseRejected, match="models"):
        manifest_from_json(json.dumps({**raw, "schema_version": 2}))


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, "1", None, 1.5])
def test_a_newer_or_odd_schema_version_is_refused_before_anything_else_is_read(version):
    with pytest.raises(ReleaseRejected, match=f"schema version {version}, this program knows up to {SCHEMA_VERSION}"):
        manifest_from_json(json.dumps({"schema_version": version, "from the future": 1}))


@pytest.mark.parametrize("text", ["", "null", "[]", "3", '"x"', "{}", "{", "[" * 100_000])
def test_text_that_is_no_manifest_is_refused(text):
    with pytest.raises(ReleaseRejected, match="no release manifest"):
        manifest_from_json(text)


def places(value, path=()):
    """Every place in a JSON value, as the keys that lead there."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))


def changed(path, change):
    raw = json.loads(manifest_to_json(MANIFEST))
    inner = raw
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return json.dumps(raw)


# Mappings may lose or gain entries; everything else in the manifest is a fixed field.
FREE = ("files", "attribute_types", "quality", "built_with", "wordings", "verbs")
PLACES = [path for path in places(json.loads(manifest_to_json(MANIFEST))) if path != ("schema_version",)]


@pytest.mark.parametrize("path", PLACES, ids=".".join)
def test_a_value_of_the_wrong_type_is_refused(path):
    for wrong in (None, [1], True):
        with pytest.raises(ReleaseRejected, match="damaged"):
            manifest_from_json(changed(path, lambda inner, key, wrong=wrong: inner.update({key: wrong})))


@pytest.mark.parametrize("path", [p for p in PLACES if len(p) == 1 or p[-2] not in FREE], ids=".".join)
def test_a_missing_field_is_refused_by_name(path):
    with pytest.raises(ReleaseRejected, match=path[-1]):
        manifest_from_json(changed(path, lambda inner, key: inner.pop(key)))


def test_an_unknown_field_is_refused_by_name():
    with pytest.raises(ReleaseRejected, match="surprise"):
        manifest_from_json(changed(("surprise",), lambda inner, key: inner.update({key: 1})))
