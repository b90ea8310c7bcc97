"""Files or phantoms to numpy batches; knows nothing of JAX."""
