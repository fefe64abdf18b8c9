"""Ranges of a release manifest's values, checked when it is read. Standard library only."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from domain.event import EventKind

if TYPE_CHECKING:
    from domain.manifest import EncoderEntry, GraphEntry, Manifest

_RELEASE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_MODEL = re.compile(r"[A-Za-z0-9_-]{1,128}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LANGUAGE = re.compile(r"[a-z]{2,8}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_POOLINGS = ("mean", "cls", "last")
_LANGUAGES_OF_HISTORIES = frozenset({"en", "zh"})
_MOST = 1_000_000
_ROUNDING = 1e-3


def check_ranges(manifest: "Manifest", precisions: Sequence[str]) -> None:
    """Checks every field of a manifest; `precisions` are those that an encoder may compute in.

    Raises:
        ValueError: one is out of its range; names it.
    """
    _texts("manifest", manifest)
    _expect(_RELEASE_ID.fullmatch(manifest.release_id), "release_id", "1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-'")
    for parent in manifest.parents:
        _expect(_RELEASE_ID.fullmatch(parent), "parents", "release ids")
    _number("item_count", manifest.item_count, 1, 2**31 - 1)
    _number("available_count", manifest.available_count, 0, manifest.item_count)
    _number("dimension", manifest.dimension, 1, 65_536)
    _encoder(manifest.encoder, precisions)
    _graph(manifest.graph)
    _number("text.unknown_token_share", manifest.text.unknown_token_share, 0, 1)
    for name in ("truncated_item_count", "indistinct_item_count", "unreadable_item_count", "foreign_item_count"):
        _number(f"text.{name}", getattr(manifest.text, name), 0, manifest.item_count)
    _template(manifest)
    for name, model in manifest.models.items():
        where = f"models.{name}"
        _model_file(where, model.file, model.triton_model, model.source_sha256)
        for field in ("input_width", "output_width", "max_length", "max_batch_size"):
            _number(f"{where}.{field}", getattr(model, field), 1, _MOST)
        _number(f"{where}.parity_worst_difference", model.parity_worst_difference, 0, math.inf)
    for name, entry in manifest.files.items():
        _expect(_DIGEST.fullmatch(entry.sha256), f"files.{name}.sha256", "64 hexadecimal digits")
        _number(f"files.{name}.size_bytes", entry.size_bytes, 0, 2**53)
    for where, figures in (("quality", manifest.quality), ("thresholds", manifest.thresholds)):
        for name, figure in figures.items():
            _number(f"{where}.{name}", figure, -math.inf, math.inf)


def _encoder(encoder: "EncoderEntry", precisions: Sequence[str]) -> None:
    _model_file("encoder", encoder.file, encoder.triton_model, encoder.source_sha256)
    for name in ("max_tokens", "max_batch_size"):
        _number(f"encoder.{name}", getattr(encoder, name), 1, _MOST)
    _number("encoder.pad_token_id", encoder.pad_token_id, 0, 2**31 - 1)
    _number("encoder.parity_worst_cosine", encoder.parity_worst_cosine, -1, 1 + _ROUNDING)
    _expect(encoder.pooling in _POOLINGS, "encoder.pooling", f"one of {', '.join(_POOLINGS)}")
    _expect(encoder.precision in precisions, "encoder.precision", f"one of {', '.join(precisions)}")
    _expect(_MODEL.fullmatch(encoder.family), "encoder.family", "a word")
    for language in encoder.languages:
        _expect(_LANGUAGE.fullmatch(language), "encoder.languages", 'primary tags such as "en"')


def _graph(graph: "GraphEntry") -> None:
    for name in ("m", "ef_construction", "ef_search"):
        _number(f"graph.{name}", getattr(graph, name), 1, _MOST)
    _number("graph.recall_at_10", graph.recall_at_10, 0, 1)
    _number("graph.recall_query_count", graph.recall_query_count, 0, 2**31 - 1)


def _template(manifest: "Manifest") -> None:
    wordings = manifest.template.wordings
    _expect(wordings.keys() == _LANGUAGES_OF_HISTORIES, "template.wordings", "those of en and zh")
    for language, wording in wordings.items():
        where = f"template.wordings.{language}.verbs"
        _expect(wording.verbs.keys() == set(EventKind), where, "one for each kind of event")
        _expect(all(verb.strip() for verb in wording.verbs.values()), where, "not blank")


def _model_file(where: str, file: str, triton_model: str, digest: str) -> None:
    _expect(file and not file.startswith("/"), f"{where}.file", "a relative path")
    _expect(_MODEL.fullmatch(triton_model), f"{where}.triton_model", "1 to 128 of A-Z, a-z, 0-9, '_' and '-'")
    _expect(_DIGEST.fullmatch(digest), f"{where}.source_sha256", "64 hexadecimal digits")


def _number(where: str, number: float, least: float, most: float) -> None:
    _expect(math.isfinite(number) and least <= number <= most, where, f"a number from {least:,} to {most:,}")


def _texts(where: str, value: Any) -> None:  # noqa: ANN401 -- walks any value of a manifest
    """Checks that no text of a manifest has characters that steer a terminal."""
    if isinstance(value, str):
        _expect(not _CONTROL.search(value), where, "free of control characters")
    elif is_dataclass(value):
        for field in fields(value):
            _texts(f"{where}.{field.name}", getattr(value, field.name))
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            _texts(where, name)
            _texts(f"{where}.{name}", entry)
    elif isinstance(value, Iterable):
        for entry in value:
            _texts(where, entry)


def _expect(holds: object, where: str, expected: str) -> None:
    if not holds:
        raise ValueError(f"{where} must be {expected}")
