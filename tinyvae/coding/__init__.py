"""Compression: a trained model as a lossless code, whose files are nearly as long as the bound says.

In reading order: ``elementary`` functions and the ``network`` in a fixed order of sums, of which encoder and decoder
compute every bit alike; ``ans``, the stack that a message is; ``pixels`` and ``cells``, coders of data and of latent
variables, each function above its inverse; ``bitsback``, which codes images with them; ``symbols``, from arrays to what
is coded and back; ``archive``, the bytes of a file; ``accounting``, what these are spent on.

The room knows models, messages and threads; it must not know files or folders of a run.
"""
