"""Synthetic films."""
