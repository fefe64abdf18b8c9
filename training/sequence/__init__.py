"""Sequence models: baselines and shared training code."""
