"""Files, pixels, networks, metrics and pictures: what the service knows about X-rays, without Prefect or a database."""
