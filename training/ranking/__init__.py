"""Blend, thresholds and ranker."""
