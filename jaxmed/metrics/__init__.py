"""The quantities that tables report."""
