"""Object stores: films in a bucket, by their keys."""
