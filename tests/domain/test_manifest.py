import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import ReleaseRejected
from domain.event import EventKind
from domain.item import AttributeType
from domain.manifest import (
    PRECISIONS,
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

WORD = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
NAME = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789_-", min_size=1, max_size=8)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)
COUNT = st.integers(1, 10**6)
SOME = st.integers(0, 1)  # of at least one item
PART = st.floats(0, 1)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
VERBS = st.fixed_dictionaries({str(kind): WORD.map("did {}".format) for kind in EventKind})
WORDING = st.builds(HistoryWording, VERBS, WORD, WORD, WORD)
MANIFESTS = st.builds(
    Manifest,
    schema_version=st.just(SCHEMA_VERSION),
    release_id=NAME.map("r{}".format),
    created=WORD,
    item_count=COUNT,
    available_count=SOME,
    dimension=st.integers(1, 65_536),
    encoder=st.builds(
        EncoderEntry,
        WORD,
        DIGEST,
        NAME,
        NAME,
        COUNT,
        COUNT,
        COUNT,
        PART,
        NAME,
        st.sampled_from(["mean", "cls", "last"]),
        WORD,
        WORD,
        st.sampled_from(PRECISIONS),
        st.lists(st.sampled_from(["en", "zh", "yue"]), max_size=2).map(tuple),
    ),
    graph=st.builds(GraphEntry, COUNT, COUNT, COUNT, PART, COUNT),
    text=st.builds(TextEntry, PART, SOME, SOME, SOME, SOME),
    template=st.builds(
        TextTemplate,
        st.lists(WORD, max_size=2).map(tuple),
        WORD,
        WORD,
        st.fixed_dictionaries({"en": WORDING, "zh": WORDING}),
    ),
    attribute_types=st.dictionaries(WORD, st.sampled_from(AttributeType), max_size=3),
    files=st.dictionaries(WORD, st.builds(FileEntry, DIGEST, COUNT), max_size=3),
    quality=st.dictionaries(WORD, NUMBER, max_size=2),
    parents=st.lists(NAME.map("r{}".format), max_size=2).map(tuple),
    built_with=st.dictionaries(WORD, WORD, max_size=2),
    models=st.dictionaries(
        WORD,
        st.builds(
            ModelEntry, NAME, NAME, DIGEST, COUNT, COUNT, COUNT, COUNT, st.lists(WORD, max_size=3).map(tuple), PART
        ),
        max_size=2,
    ),
    thresholds=st.dictionaries(WORD, NUMBER, max_size=2),
    quality_protocol=WORD,
)


@settings(deadline=None, max_examples=60)
@given(MANIFESTS)
def test_a_manifest_survives_json(manifest):
    assert manifest_from_json(manifest_to_json(manifest)) == manifest


def test_the_default_template_survives_too():
    manifest = dataclasses.replace(MANIFEST, template=TextTemplate(("tags",)))
    assert manifest_from_json(manifest_to_json(manifest)) == manifest


@pytest.mark.parametrize("version", [*range(-1, SCHEMA_VERSION), "4", None, 4.5, True])
def test_an_older_or_odd_schema_version_is_refused_before_anything_else_is_read(version):
    expected = f"schema version {version}, this program reads {SCHEMA_VERSION} only; build the release again"
    for rest in ({"from the past": 1}, json.loads(manifest_to_json(MANIFEST))):
        with pytest.raises(ReleaseRejected, match=expected):
            manifest_from_json(json.dumps({**rest, "schema_version": version}))


def test_a_newer_schema_version_is_refused_before_anything_else_is_read():
    with pytest.raises(
        ReleaseRejected, match=rf"schema version {SCHEMA_VERSION + 1}, .*; update Shortlist, or build the release again"
    ):
        manifest_from_json(json.dumps({"schema_version": SCHEMA_VERSION + 1, "from the future": 1}))


@pytest.mark.parametrize("text", ["", "null", "[]", "3", '"x"', "{}", "{", "[" * 100_000])
def test_text_that_is_not_a_manifest_is_refused(text):
    with pytest.raises(ReleaseRejected, match="not a release manifest"):
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
    for wrong in (None, [1], 1 if path == ("pinyin",) else True):
        with pytest.raises(ReleaseRejected, match="damaged"):
            manifest_from_json(changed(path, lambda inner, key, wrong=wrong: inner.update({key: wrong})))


@pytest.mark.parametrize("path", [p for p in PLACES if len(p) == 1 or p[-2] not in FREE], ids=".".join)
def test_a_missing_field_is_refused_by_name(path):
    with pytest.raises(ReleaseRejected, match=path[-1]):
        manifest_from_json(changed(path, lambda inner, key: inner.pop(key)))


def test_an_unknown_field_is_refused_by_name():
    with pytest.raises(ReleaseRejected, match="surprise"):
        manifest_from_json(changed(("surprise",), lambda inner, key: inner.update({key: 1})))
