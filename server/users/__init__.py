"""Stored events of users, under keyed hashes of their ids."""
