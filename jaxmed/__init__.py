"""Medical imaging in JAX and Flax: arrays in, arrays out."""
