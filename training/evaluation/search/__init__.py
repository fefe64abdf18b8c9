"""Evaluation of search through the real service: judged queries, and partial descriptions of people's next items."""
