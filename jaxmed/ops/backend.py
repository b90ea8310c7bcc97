"""Which backend programs are compiled for."""

import jax


def on_cpu() -> bool:
    """Whether it is the CPU, where operators are fast in other forms than on accelerators."""
    return jax.default_backend() == "cpu"
