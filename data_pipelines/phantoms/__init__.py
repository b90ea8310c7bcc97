"""Seeded synthetic subjects with exact ground truth."""
