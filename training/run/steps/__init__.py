"""The steps of `shortlist train`, one a module."""
