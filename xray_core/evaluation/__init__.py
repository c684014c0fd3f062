"""Figures with intervals, the shortcut audit, drift."""
