"""Services that people write instead of a gateway, each in an environment of its own: for `make bench`."""
