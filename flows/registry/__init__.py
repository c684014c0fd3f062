"""The registry as the flows see it."""
