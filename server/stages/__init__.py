"""The stages of a request: history, represent, recall, order, rank, explain."""
