"""Array mathematics on jax, numpy and scipy alone."""
