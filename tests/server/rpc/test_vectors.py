"""Vectors on the wire, in each format."""

from types import SimpleNamespace

import numpy as np
import pytest

from domain.vector_format import VectorFormat
from server.rpc.vectors import FORMATS, embedding_message
from shortlist.replies import MismatchedReply, read_embedding

TEXT = SimpleNamespace(ids=[1, 2, 3], truncated=True, unknown_share=0.5)


def unit(rng, size=384):
    vector = rng.normal(size=size).astype(np.float32)
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize(
    ("vector_format", "bytes_each", "within"),
    [(VectorFormat.FLOAT32, 4, 0.0), (VectorFormat.FLOAT16, 2, 2**-12), (VectorFormat.INT8, 1, 1 / 254)],
)
def test_a_vector_comes_back_within_its_formats_precision(vector_format, bytes_each, within):
    rng = np.random.default_rng(1)
    for vector in (unit(rng), np.eye(1, 384, dtype=np.float32)[0], -np.eye(1, 384, dtype=np.float32)[0]):
        message = embedding_message(TEXT, vector, vector_format)
        assert message.ByteSize() <= bytes_each * 384 + 40
        read = read_embedding(message, FORMATS[vector_format])
        assert np.abs(np.asarray(read.vector) - vector).max() <= within * (1 + 1e-6)
        assert (read.token_count, read.truncated, read.unknown_token_share) == (3, True, 0.5)


def test_a_vector_of_zeros_stays_one():
    for vector_format in VectorFormat:
        message = embedding_message(TEXT, np.zeros(4, np.float32), vector_format)
        assert list(read_embedding(message, FORMATS[vector_format]).vector) == [0.0] * 4


def test_a_format_of_a_newer_gateway_is_no_vector():
    message = embedding_message(TEXT, np.ones(4, np.float32), VectorFormat.INT8)
    with pytest.raises(MismatchedReply, match="format 9"):
        read_embedding(message, 9)
