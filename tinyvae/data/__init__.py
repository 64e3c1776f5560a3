"""Data sets, from a name or a user's file: downloads, formats, and one form for all of them.

The room knows files, digests and arrays; it must not know what a model is.
"""
