"""Somebody else's TCP on the link: `python -m benchmarks.linklab.traffic send|take ADDRESS ...`.

`take` listens and discards; `send` connects and sends as fast as it may, for some seconds or until
so many kilobytes are through.
"""

import argparse
import contextlib
import socket
import threading
import time

from benchmarks.linklab.emulator import FLOWS_PORT

_CHUNK = 65_536
_PATIENCE = 5.0


def take(address: str) -> None:
    """Discard whatever comes, until SIGTERM."""
    with socket.create_server((address, FLOWS_PORT)) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_discard, args=(connection,), daemon=True).start()


def _discard(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        while connection.recv(_CHUNK):
            pass


def send(address: str, seconds: float, kilobytes: float | None) -> None:
    """Send; what is still on its way at the end is thrown away."""
    deadline = time.monotonic() + seconds
    left = kilobytes * 1_000 if kilobytes is not None else float("inf")
    with (
        contextlib.suppress(OSError),
        socket.create_connection((address, FLOWS_PORT), timeout=_PATIENCE) as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        chunk = bytes(_CHUNK)
        while left > 0 and (rest := deadline - time.monotonic()) > 0:
            connection.settimeout(rest)
            left -= connection.send(chunk[: int(min(left, _CHUNK))])
        if left <= 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes(8))


def main() -> None:
    """One end of a flow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("end", choices=("send", "take"))
    parser.add_argument("address")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--kilobytes", type=float)
    options = parser.parse_args()
    if options.end == "take":
        take(options.address)
    else:
        send(options.address, options.seconds, options.kilobytes)


if __name__ == "__main__":
    main()
