"""What runs beside us and may be lost: decoders, helpers, their limits."""
