"""Ways to run an endless stream of examples into batches, all with the same result."""
