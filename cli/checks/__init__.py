"""Checks of `shortlist doctor`: each one function that returns a finding.

Importing any of these modules needs nothing but the standard library: the doctor also comes where packages are missing.
"""
