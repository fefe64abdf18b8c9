"""What `shortlist doctor` looks at: each check one function, from what it looks at to a finding.

Importing any of these modules needs nothing but the standard library: the doctor also comes where packages are missing.
"""
