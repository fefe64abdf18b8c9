"""Triton's model configuration and model repository."""
