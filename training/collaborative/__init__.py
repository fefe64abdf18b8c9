"""Collaborative models and baselines: EASE, ALS, ELSA, neighbours, popularity, transitions."""
