"""Strict readers: a file gives one Example or one clear error."""
