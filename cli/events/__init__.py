"""`shortlist events` and what reads stored events."""
