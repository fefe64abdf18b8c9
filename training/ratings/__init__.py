"""Ratings: how much a user likes an item, as a number; plain predictors and the head that joins them."""
