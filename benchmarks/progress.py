"""A line on the terminal that tells how far a long benchmark is.

Benchmarks tell by logging (`logging.getLogger("benchmarks...")`, level info). It goes to stderr,
and only to a terminal: stdout is the answer's.
"""

import contextlib
import logging
from collections.abc import Iterator

from rich.console import Console
from rich.status import Status

_LOG = logging.getLogger("benchmarks")


@contextlib.contextmanager
def shown(title: str) -> Iterator[None]:
    """While inside, the latest message stands behind the title."""
    # Seldom: the generator wants this core.
    status = Status(title, console=Console(stderr=True), refresh_per_second=2)
    handler = _Line(status, title)
    _LOG.setLevel(logging.INFO)
    _LOG.addHandler(handler)
    try:
        with status:
            yield
    finally:
        _LOG.removeHandler(handler)


class _Line(logging.Handler):
    def __init__(self, status: Status, title: str) -> None:
        super().__init__()
        self._status = status
        self._title = title

    def emit(self, record: logging.LogRecord) -> None:
        """Show it instead of the one before."""
        self._status.update(f"{self._title}: {record.getMessage()}")
