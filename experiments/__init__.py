"""Papers: the one place where library, data and configuration meet."""
