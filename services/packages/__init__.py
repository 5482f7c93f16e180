"""Builds the zips that Lambda runs from our code and the locked distributions; no part of any function."""
