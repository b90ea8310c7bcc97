"""Timings against other libraries on the same machine, run by name: python -m benchmarks.<name>."""
