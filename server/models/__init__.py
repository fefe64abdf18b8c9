"""Models served by Triton: text encoder, user tower, ranker."""
