"""One training: claim, gather, fit, judge, conclude."""
