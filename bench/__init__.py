"""Figures that the README states, each by one command. They run the real parts and print what they measured."""
