"""One scan: claim, decode, score, record."""
