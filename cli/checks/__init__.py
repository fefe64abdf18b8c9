"""Checks of `shortlist doctor`: each a function that returns a finding.

Importing any of these modules needs nothing but the standard library: the doctor also comes where packages are missing.
"""
