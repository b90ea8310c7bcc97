"""Per-example losses, never reduced over the batch."""
