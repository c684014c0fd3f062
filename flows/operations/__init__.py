"""How is it doing, does everything hold, what happened to a file."""
