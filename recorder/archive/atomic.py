"""Files that appear whole or not at all, and stay."""

import os
from pathlib import Path


def write(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Replace a file by a rename; with `sync` its content is on disk before. Raises OSError.

    That the folder knows the new file for good takes `sync_to_disk` of the folder as well.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(data)
    if sync:
        sync_to_disk(temporary)
    temporary.replace(path)


def sync_to_disk(path: Path) -> None:
    """Have a file, or a folder's list of names, on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
