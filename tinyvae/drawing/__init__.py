"""Pictures from arrays: the one room that imports matplotlib.

It knows curves, grids of images and maps, and how a file is written; it must not know what a model is.
"""
