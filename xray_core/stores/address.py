"""The address of a bucket, as people write it: `s3://bucket/prefix`."""

from __future__ import annotations

from pathlib import Path

_SCHEMES = ("s3", "gs", "az")


def is_bucket(place: str) -> bool:
    """Whether this is the address of a bucket: `s3://bucket/prefix`, also `gs://` and `az://`."""
    scheme, separator, _ = place.partition("://")
    return bool(separator) and scheme in _SCHEMES


def refuse_archive(incoming: Path | str | None, archive: Path | str | None) -> None:
    """Raise ValueError where films could not be moved from one place to the other, or would be found again there.

    Both are a folder, or the address of a bucket.
    """
    if archive is None or not (isinstance(incoming, str) or isinstance(archive, str)):
        return
    if not isinstance(incoming, str):
        raise ValueError("expected a folder, for XRAY_INCOMING is one")
    if not isinstance(archive, str) or _bucket_of(incoming) != _bucket_of(archive):
        raise ValueError(f"expected another prefix of the bucket of XRAY_INCOMING, as {_bucket_of(incoming)}/archive")
    if f"{archive}/".startswith(f"{incoming}/") or f"{incoming}/".startswith(f"{archive}/"):
        raise ValueError(f"expected a prefix beside {incoming}, for whatever lies below that arrives")


def _bucket_of(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
