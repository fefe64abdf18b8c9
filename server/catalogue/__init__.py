"""The catalogue as the stages see it."""
