"""The number formats that an encoder's file is served in."""

FLOAT32 = "float32"
FLOAT16 = "float16"
INT8 = "int8"
PRECISIONS = (FLOAT32, FLOAT16, INT8)
