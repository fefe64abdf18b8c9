"""Text to token ids and vectors without torch."""
