"""SRT by the system's libsrt, against itself: both ends of one stream."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from clients.headless import srt
from clients.headless.errors import SourceError

pytestmark = pytest.mark.skipif(
    not srt.available(), reason="this machine has no libsrt (tests/tools.sh installs it)"
)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def in_thread(do: Callable[[], Any]) -> Callable[[], Any]:
    """Begin; what is returned waits for it, and raises what it raised."""
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(do())
        except Exception as error:
            result.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def outcome() -> Any:
        thread.join(40)
        assert result, "it hangs"
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]

    return outcome


def connected(listener: str, caller: str) -> tuple[srt.Receiver, srt.Sender]:
    """A listener that receives, and who calls it: again while nobody listens yet."""
    receiving = in_thread(lambda: srt.Receiver(listener, 20, 20))
    for _ in range(20):
        try:
            sender = srt.Sender(caller, 1, 20)
        except SourceError:
            continue
        return receiving(), sender
    raise AssertionError("nobody listens")


def test_what_goes_in_comes_out():
    port = free_port()
    receiver, sender = connected(
        f"srt://127.0.0.1:{port}?mode=listener&passphrase=0123456789&latency=50",
        f"srt://127.0.0.1:{port}?passphrase=0123456789&streamid=hall&latency=50",
    )
    whole = bytes(range(256)) * 40
    sender.write(whole)
    got = b""
    while len(got) < len(whole):
        part = receiver.read(100_000)
        assert 0 < len(part) <= srt.MESSAGE
        got += part
    assert got == whole
    sender.close()
    sender.close()
    assert receiver.read(100_000) == b""
    receiver.close()


def test_silence_is_an_error():
    port = free_port()
    receiving = in_thread(lambda: srt.Receiver(f"srt://127.0.0.1:{port}?mode=listener", 20, 0.3))
    sender = None
    while sender is None:
        try:
            sender = srt.Sender(f"srt://127.0.0.1:{port}", 1, 20)
        except SourceError:
            continue
    receiver = receiving()
    with pytest.raises(TimeoutError):
        receiver.read(1_000)
    sender.close()
    receiver.close()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "Nobody answers at this SRT address"),
        ("?passphrase=short", "10 to 79"),
    ],
)
def test_what_cannot_be_is_said(query: str, says: str):
    with pytest.raises(SourceError, match=says):
        srt.Receiver(f"srt://127.0.0.1:{free_port()}{query}", 0.5, 0.5)


def test_a_host_that_is_not_there_is_said():
    with pytest.raises(SourceError, match="names no host"):
        srt.Receiver("srt://no-such-host.invalid:9?mode=listener", 0.5, 0.5)


def test_the_relay_carries_its_standard_input():
    port = free_port()
    receiving = in_thread(
        lambda: srt.Receiver(f"srt://127.0.0.1:{port}?mode=listener&latency=20", 30, 30)
    )
    for _ in range(10):
        relay = subprocess.Popen(
            [sys.executable, "-m", "clients.headless.srt"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert relay.stdin
        assert relay.stdout
        relay.stdin.write(f"srt://127.0.0.1:{port}?latency=20\n".encode())
        relay.stdin.flush()
        if relay.stdout.readline() == b"connected\n":
            break
        relay.communicate()
    receiver = receiving()
    relay.stdin.write(b"x" * 3_000)
    relay.stdin.flush()
    got = b""
    while len(got) < 3_000:
        got += receiver.read(100_000)
    assert got == b"x" * 3_000
    relay.communicate()
    assert relay.returncode == 0
    receiver.close()


def test_the_relay_says_why_not():
    relay = subprocess.run(
        [sys.executable, "-m", "clients.headless.srt"],
        input=b"srt://no-such-host.invalid:9\n",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert relay.returncode == 2
    assert relay.stdout == b"The SRT address names no host that can be found.\n"
