"""Protobuf at the edge: requests in, replies and statuses out."""
