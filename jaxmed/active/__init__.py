"""Active learning: how informative unlabelled examples are, and which to have labelled."""
