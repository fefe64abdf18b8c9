"""Load generation and service level objectives, for any deployment of the contract."""
