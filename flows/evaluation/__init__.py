"""Models judged by hand: audit, compare, external set, promotion, remedy trials."""
