"""The five flows of prefect.yaml, one file each."""
