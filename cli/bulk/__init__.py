"""Bulk work from a file: lines as entries of a stream, outcomes as lines of JSON, resumed where it ended."""
