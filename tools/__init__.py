"""Developer programs: stub generation and the contract baseline."""
