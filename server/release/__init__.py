"""A release read from files, loaded into Triton and watched."""
