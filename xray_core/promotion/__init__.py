"""The retraining policy, whether a retraining is due, and the gate."""
