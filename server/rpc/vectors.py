"""Vectors to protobuf, in the form that a caller asks for."""

from collections.abc import Mapping

import numpy as np

from core.text.tokenize import TokenizedText
from domain.vector_format import VectorFormat
from shortlist.v1 import embedding_pb2 as pb

FORMATS: Mapping[VectorFormat, pb.VectorFormat] = {
    VectorFormat.FLOAT32: pb.VECTOR_FORMAT_FLOAT32,
    VectorFormat.FLOAT16: pb.VECTOR_FORMAT_FLOAT16,
    VectorFormat.INT8: pb.VECTOR_FORMAT_INT8,
}
_LARGEST = 127


def embedding_message(text: TokenizedText, vector: np.ndarray, vector_format: VectorFormat) -> pb.Embedding:
    """Builds one text's vector.

    Args:
        text: as the encoder read it.
        vector: float32[d].
        vector_format: of the message.
    """
    message = pb.Embedding(token_count=len(text.ids), truncated=text.truncated, unknown_token_share=text.unknown_share)
    if vector_format is VectorFormat.FLOAT32:
        message.vector.extend(vector.tolist())
    elif vector_format is VectorFormat.FLOAT16:
        message.packed_vector = vector.astype("<f2").tobytes()
    else:
        scale = float(np.abs(vector).max()) / _LARGEST
        message.scale = scale
        message.packed_vector = np.rint(vector / (scale or 1.0)).astype(np.int8).tobytes()
    return message
