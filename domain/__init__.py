"""Values and files that every program shares: items, events, texts, manifest, folders. Standard library only."""
