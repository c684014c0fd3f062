"""What it takes to train a model again, and how like the two are then."""
