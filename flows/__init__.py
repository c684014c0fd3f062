"""Where core and database meet: the Prefect flows and the `xray` command line. Nothing imports this package."""
