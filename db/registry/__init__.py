"""Models, evaluations, champion terms, trainings."""
