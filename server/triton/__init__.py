"""Everything that knows Triton: the client, version control, the embedded server."""
