"""A PostgreSQL of our own for a while: in a folder of /tmp, on a socket, gone afterwards."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE = 100
"""Seconds for each step of a start, on a busy machine."""
_INITIALISE = ("-A", "trust", "-U", "tongbu", "-E", "UTF8", "--locale", "C", "--no-sync")
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=")


def binaries() -> Path | None:
    """Where Debian keeps the server's programs; None if there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    elsewhere = shutil.which("initdb")
    return found[-1].parent if found else Path(elsewhere).parent if elsewhere else None


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """Runs a server; yields the URL of its database. Raises RuntimeError.

    It ends with this process, however that ends.
    """
    user = _user()
    with tempfile.TemporaryDirectory(prefix="tongbu-pg-", dir="/tmp") as folder:
        home = Path(folder)
        if user is not None:
            os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        data = str(home / "data")
        _run([*_as(user), str(programs / "initdb"), "-D", data, *_INITIALISE], home)
        settings = [word for setting in _FAST for word in ("-c", setting)]
        command = [*_as(user), str(programs / "postgres"), "-D", data, "-k", folder, *settings]
        log = home / "log"
        with log.open("wb") as said:
            process = subprocess.Popen(command, cwd=home, stdin=subprocess.DEVNULL, stderr=said)
        try:
            _await(process, [str(programs / "pg_isready"), "-h", folder], log)
            yield f"postgresql+psycopg://tongbu@/postgres?host={home}"
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nobody wants what it has
            process.wait(60)


def _user() -> str | None:
    """PostgreSQL refuses to run as root: then it is Debian's user for it, or nobody."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _as(user: str | None) -> list[str]:
    """Runs what follows as somebody else, and ends it when we are gone."""
    if user is None:
        return ["setpriv", "--pdeathsig", "QUIT"]
    group = str(pwd.getpwnam(user).pw_gid)
    other = ["--reuid", user, "--regid", group, "--clear-groups"]
    return ["setpriv", *other, "--pdeathsig", "QUIT"]


def _await(process: subprocess.Popen[bytes], asking: list[str], log: Path) -> None:
    """Until it answers."""
    deadline = time.monotonic() + _PATIENCE
    while subprocess.run(asking, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL does not start: {log.read_text()[-500:]}")
        time.sleep(0.1)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode().strip()}")
