"""Trained networks as files that run without this library, and from which nothing is unpickled."""
