"""Trained parts: from a model folder into a release."""
