"""The processes below a node, as Linux tells them."""

from pathlib import Path


def worker_of(node_pid: int) -> int | None:
    """The node's recorder worker."""
    for pid in children(node_pid):
        if b"recorder.worker" in command_line(pid):
            return pid
    return None


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


def command_line(pid: int) -> bytes:
    """Its arguments; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
