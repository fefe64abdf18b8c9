"""`shortlist slo`: its flags, its run, and what it shows on a terminal."""
