"""`shortlist release`: releases on disk."""
