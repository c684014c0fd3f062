"""CSV out, CSV and folders in."""
