"""Forms of a vector on the wire and in a graph."""

from enum import StrEnum


class VectorFormat(StrEnum):
    """Form of a vector: 4, 2 or 1 bytes a number."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"
