"""Admission: whether a call is taken at all, and how much is done for it, decided before any work."""
