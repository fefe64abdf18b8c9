"""Interaction files: reading, checking, cleaning, positives."""
