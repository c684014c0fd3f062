"""What is installed beside what was tested: a drift breaks Prefect's scheduler silently."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

_DISTRIBUTION = "xray-scoring"
_EXTRAS = {"train": "training", "postgres": "PostgreSQL's driver", "dask": "Dask", "s3": "obstore (films in a bucket)"}


def examine_dependencies() -> Iterator[tuple[str, str | None]]:
    """Every dependency that is declared, of an extra where something of it is installed; what, and the fix or None."""
    yield from judge_dependencies([Requirement(line) for line in requires(_DISTRIBUTION) or []])
    yield f"dependencies of {_DISTRIBUTION} {version(_DISTRIBUTION)} were looked at", None


def judge_dependencies(declared: list[Requirement]) -> Iterator[tuple[str, str | None]]:
    """The same of what an installation declares; one of an older checkout knows not every extra."""
    base = [wanted for wanted in declared if _belongs_to(wanted, "")]
    for extra in ("", *_EXTRAS):
        wanted_here = base if not extra else [one for one in declared if one not in base and _belongs_to(one, extra)]
        found = {wanted: _find_version(wanted.name) for wanted in wanted_here}
        if extra and not found:
            yield f"this installation is older than its code and knows nothing of {_EXTRAS[extra]}: make install", None
        elif extra and not any(found.values()):
            yield f"{_EXTRAS[extra]} is not installed here: pip install '{_DISTRIBUTION}[{extra}]' adds it", None
        else:
            yield from _compare(found)


def _compare(found: dict[Requirement, str | None]) -> Iterator[tuple[str, str | None]]:
    for wanted, there in found.items():
        if there is None:
            yield f"{wanted.name} is missing", "make install"
        elif not wanted.specifier.contains(there, prereleases=True):
            yield f"{wanted.name} {there}, tested with {wanted.specifier}", "make clean install"


def _belongs_to(wanted: Requirement, extra: str) -> bool:
    return wanted.marker is None or wanted.marker.evaluate({"extra": extra})


def _find_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
