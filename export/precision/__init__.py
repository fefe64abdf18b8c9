"""Conversion of an encoder to float16 and int8, and its gate."""
