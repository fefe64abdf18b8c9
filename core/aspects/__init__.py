"""Aspects of reviews: extraction, lexicon, profiles."""
