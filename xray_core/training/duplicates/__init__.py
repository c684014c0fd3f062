"""X-rays that show the same picture, and what was found out about them before."""
