"""Triton: the client, its messages and errors, the embedded server."""
