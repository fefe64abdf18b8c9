"""Faults and overload on the real gateway and Triton: promises of docs/reliability.md with figures."""
