"""What tests of downloads share."""

import hashlib


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files_in(folder) -> set[str]:
    """Names of the files in a folder; the lock, which holds nothing, may stay."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}
