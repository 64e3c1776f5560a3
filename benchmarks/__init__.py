"""tinyvae beside JAX and PyTorch on the same cores: see README.md."""
