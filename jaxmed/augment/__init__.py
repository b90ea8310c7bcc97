"""Random transforms on the device: each is a draw function and an apply function."""
