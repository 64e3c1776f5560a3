"""A run's folder: its files, each written whole or not at all, and read without trust.

The room knows names, arrays and numbers; it must not know what a model is.
"""
