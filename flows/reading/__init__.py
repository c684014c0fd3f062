"""Films read on a page: the server, the offline folder, the results for everybody else."""
