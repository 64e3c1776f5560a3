"""Finite differences, and the small random problems on which they check every pair of the derivation.

The room knows the derivation and all registries, so that a new entry of one is checked; it must not know data, files
or training.
"""
