"""What every program shares: items, events, text templates, the release manifest. Standard library only."""
