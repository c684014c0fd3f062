"""The data home: folders, ledger, locks, stopping, backup."""
