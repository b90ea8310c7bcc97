"""Applying trained networks to whole cases."""
