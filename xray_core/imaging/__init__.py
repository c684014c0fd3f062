"""A file's bytes to grey levels to network input."""
