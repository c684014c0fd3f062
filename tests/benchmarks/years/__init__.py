"""A home after years of work, and what every command costs in it."""
