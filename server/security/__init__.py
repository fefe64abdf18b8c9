"""Identity of callers, and what each may do."""
