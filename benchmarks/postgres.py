"""A PostgreSQL of our own for a while: in a folder of /tmp, on a socket, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=")


def binaries() -> Path | None:
    """Where Debian keeps the server's programs; None if there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    elsewhere = shutil.which("initdb")
    return found[-1].parent if found else Path(elsewhere).parent if elsewhere else None


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """Runs a server; yields the URL of its database. Raises RuntimeError."""
    user = _user()
    with tempfile.TemporaryDirectory(prefix="tongbu-pg-", dir="/tmp") as folder:
        home = Path(folder)
        if user is not None:
            os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        log = home / "log"
        initialise = ["initdb", "-D", f"{home}/data", "-A", "trust", "-U", "tongbu", "--no-sync"]
        _run(programs, [*initialise, "-E", "UTF8", "--locale", "C"], home, user)
        options = " ".join([f"-k {home}", *(f"-c {setting}" for setting in _FAST)])
        control = ["pg_ctl", "-D", f"{home}/data", "-w", "-t", "60", "-l", str(log)]
        _run(programs, [*control, "-o", options, "start"], home, user)
        try:
            yield f"postgresql+psycopg://tongbu@/postgres?host={home}"
        finally:
            _run(programs, [*control, "-m", "immediate", "stop"], home, user)


def _user() -> str | None:
    """PostgreSQL refuses to run as root: then it is Debian's user for it, or nobody."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _run(programs: Path, command: list[str], folder: Path, user: str | None) -> None:
    path = [str(programs / command[0]), *command[1:]]
    done = subprocess.run(
        path,
        cwd=folder,
        user=user,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=100,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode().strip()}")
