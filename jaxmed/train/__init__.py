"""Training: network state, the one loop, meshes, checkpoints and observers."""
