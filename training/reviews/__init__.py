"""Aspect profiles from reviews."""
