"""Readers, their lists, and what they said."""
