"""The scheduled scoring flow: score the X-rays that arrived since the last run."""

from __future__ import annotations

from prefect import flow


@flow
def retrain(trigger: str = "by hand") -> None:
    print("x")
