"""A Prefect flow that does nothing: what any flow run costs."""

from prefect import flow


@flow(name="empty")
def empty_flow() -> None:
    """Nothing."""
