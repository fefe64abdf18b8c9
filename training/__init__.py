"""Fine-tune, distil, collaborative models, ranker, offline evaluation: what learns from interactions."""
