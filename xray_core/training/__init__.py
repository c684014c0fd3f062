"""The pure story of one training."""
