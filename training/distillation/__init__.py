"""Students of the text encoder."""
