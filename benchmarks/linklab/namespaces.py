"""Network namespaces of Linux, made and removed, and a thread that steps into one.

Their names carry the process that made them, so that whatever a killed lab has left behind is
known as such, and removed by the next one.
"""

import contextlib
import ctypes
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

RUN = Path("/run/netns")
_PREFIX = "linklab"
_CLONE_NEWNET = 0x40000000  # <linux/sched.h>
_PATIENCE = 2.0
"""Seconds for what runs in a namespace to end by itself."""
_LIBC = ctypes.CDLL(None, use_errno=True)


class NamespaceError(Exception):
    """A namespace could not be made; the message says why."""


def unavailable() -> str | None:
    """Why no namespaces can be made here, in words; None where they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    try:
        with namespace("probe"):
            return None
    except (NamespaceError, OSError) as error:
        return f"no namespace can be made: {error}"


@contextlib.contextmanager
def namespace(purpose: str) -> Iterator[str]:
    """A namespace with a loopback device, for as long as the context lasts; its name.

    Raises NamespaceError.
    """
    name = f"{_PREFIX}-{os.getpid()}-{secrets.token_hex(2)}-{purpose}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        with inside(name), contextlib.suppress(OSError):  # its neighbour discovery is nobody's
            for scope in ("all", "default"):
                Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1")
        yield name
    finally:
        remove(name)


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """The calling thread, and whatever it starts, are in that namespace."""
    own = Path("/proc/thread-self/ns/net")
    with own.open("rb") as before, (RUN / name).open("rb") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(before.fileno())


def remove(name: str) -> None:
    """End what runs there, then remove it."""
    own = {os.getpid()}
    deadline = time.monotonic() + _PATIENCE
    kind = signal.SIGTERM
    while pids := set(_pids(name)) - own:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, kind)
        if time.monotonic() > deadline:
            kind = signal.SIGKILL
        time.sleep(0.05)
    with contextlib.suppress(NamespaceError):
        ip("netns", "del", name)


def sweep() -> list[str]:
    """Remove what labs that are no more have left; its names."""
    left = [path.name for path in RUN.glob(f"{_PREFIX}-*") if _is_orphan(path.name)]
    for name in left:
        remove(name)
    return left


def _is_orphan(name: str) -> bool:
    return not Path(f"/proc/{name.split('-')[1]}").exists()


def _pids(name: str) -> list[int]:
    said = subprocess.run(["ip", "netns", "pids", name], capture_output=True, check=False)
    return [int(pid) for pid in said.stdout.split()]


def _enter(fd: int) -> None:
    if _LIBC.setns(fd, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def ip(*arguments: str) -> None:
    """Run it. Raises NamespaceError with its own words."""
    try:
        said = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NamespaceError("the program `ip` is not there (Debian: iproute2)") from None
    if said.returncode:
        raise NamespaceError(said.stderr.strip() or f"ip {' '.join(arguments)} failed")
