"""Training methods as values: init, step, refresh."""
