"""`xray up` and `xray demo`: server, worker and deployments as one program."""
