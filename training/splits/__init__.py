"""Splits, protocols and validation."""
