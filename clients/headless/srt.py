"""SRT (draft-sharabayko-srt) by the system's libsrt: FFmpeg as PyAV brings it has none.

    python -m clients.headless.srt      standard input: the URL on a line, then what is to be sent

A URL is srt://HOST:PORT?streamid=...&passphrase=...&latency=MS&mode=caller|listener. Messages are
1,316 bytes, seven MPEG-TS packets, as everybody's are in live mode.
"""

import ctypes
import os
import socket
import struct
import sys
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from clients.headless.errors import HeadlessError, SourceError

MESSAGE = 1316
"""Bytes in a message of live mode, at most."""

_LONGEST = 1_456  # what a packet of 1,500 bytes has room for
_LIBRARIES = (
    "libsrt-gnutls.so.1.5",
    "libsrt-openssl.so.1.5",
    "libsrt.so.1.5",
    "libsrt.so",
)
_ERROR = -1
_TIMEOUT = 6003  # SRT_ETIMEOUT
_REJECTED_BY_SECRET = (10, 11)  # SRT_REJ_BADSECRET, SRT_REJ_UNSECURE

# SRT_SOCKOPT, as srt.h numbers them.
_SNDSYN, _RCVSYN, _LINGER = 1, 2, 7
_SNDTIMEO, _RCVTIMEO = 13, 14
_LATENCY, _PASSPHRASE, _PBKEYLEN = 23, 26, 27
_CONNTIMEO, _STREAMID = 36, 46
_PEERIDLETIMEO = 55


class Stream:
    """A connected SRT stream. Raises SourceError: no libsrt, nobody there, refused."""

    def __init__(self, url: str, open_timeout: float, timeout: float) -> None:
        """Connect (or, with mode=listener, wait for somebody) for up to `open_timeout` seconds."""
        self._library = _library()
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        try:
            address = _address(parts.hostname or "", parts.port or 0)
        except (OSError, ValueError):
            raise SourceError("The SRT address names no host that can be found.") from None
        self._socket = self._library.srt_create_socket()
        try:
            self._configure(options, open_timeout, timeout)
            if options.get("mode") == "listener":
                self._accept(address)
            else:
                self._connect(address)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up; safe to call twice."""
        if self._socket != _ERROR:
            self._library.srt_close(self._socket)
            self._socket = _ERROR

    def _configure(self, options: dict[str, str], open_timeout: float, timeout: float) -> None:
        milliseconds = round(timeout * 1000)
        self._set(_CONNTIMEO, round(open_timeout * 1000))
        self._set(_RCVTIMEO, milliseconds)
        self._set(_SNDTIMEO, milliseconds)
        self._set(_PEERIDLETIMEO, max(milliseconds, 5_000))  # it says that it lives each second
        latency = options.get("latency", "")
        if latency.isdecimal():
            self._set(_LATENCY, min(int(latency), 8_000))
        if streamid := options.get("streamid"):
            self._set(_STREAMID, streamid.encode()[:512])
        if passphrase := options.get("passphrase"):
            key = options.get("pbkeylen", "16")
            self._set(_PBKEYLEN, int(key) if key in ("16", "24", "32") else 16)
            if not 10 <= len(passphrase.encode()) <= 79:
                raise SourceError("The SRT passphrase must have 10 to 79 characters.")
            self._set(_PASSPHRASE, passphrase.encode())

    def _set(self, option: int, value: int | bytes) -> None:
        data = value if isinstance(value, bytes) else struct.pack("@i", value)
        if self._library.srt_setsockflag(self._socket, option, data, len(data)) == _ERROR:
            raise SourceError("The SRT address has an option that libsrt does not take.")

    def _connect(self, address: bytes) -> None:
        if self._library.srt_connect(self._socket, address, len(address)) == _ERROR:
            reason = self._library.srt_getrejectreason(self._socket)
            if reason in _REJECTED_BY_SECRET:
                raise SourceError("The SRT peer uses another passphrase.")
            raise SourceError("Nobody answers at this SRT address, or it refuses the stream id.")

    def _accept(self, address: bytes) -> None:
        library, listener = self._library, self._socket
        if (
            library.srt_bind(listener, address, len(address)) == _ERROR
            or library.srt_listen(listener, 1) == _ERROR
        ):
            raise SourceError("The SRT address cannot be listened at.")
        self._socket = library.srt_accept(listener, None, None)
        library.srt_close(listener)
        if self._socket == _ERROR:
            raise SourceError("Nobody came to this SRT address.")


class Receiver(Stream):
    """What `av.open` reads from."""

    name = "srt"

    def __init__(self, url: str, open_timeout: float, timeout: float) -> None:
        super().__init__(url, open_timeout, timeout)
        self._buffer = ctypes.create_string_buffer(_LONGEST)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Some bytes, at most so many; b"" at the end. Raises TimeoutError."""
        message = self._rest or self._message()
        self._rest = message[size:]
        return message[:size]

    def _message(self) -> bytes:
        count = self._library.srt_recvmsg(self._socket, self._buffer, _LONGEST)
        if count == _ERROR:
            if self._library.srt_getlasterror(None) == _TIMEOUT:
                raise TimeoutError
            return b""
        return self._buffer.raw[:count]


class Sender(Stream):
    """Where MPEG-TS goes to."""

    def write(self, data: bytes) -> None:
        """Send it, in messages. Raises SourceError."""
        for at in range(0, len(data), MESSAGE):
            part = data[at : at + MESSAGE]
            if self._library.srt_sendmsg(self._socket, part, len(part), -1, 1) == _ERROR:
                raise SourceError("The SRT connection broke off.")


def available() -> bool:
    """Whether this machine has a libsrt."""
    try:
        _library()
    except SourceError:
        return False
    return True


@cache
def _library() -> Any:
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.srt_startup()
        library.srt_setloglevel(0)  # nothing but emergencies
        return library
    raise SourceError(
        "SRT needs libsrt, which this machine has not: apt-get install libsrt1.5-gnutls."
    )


def _address(host: str, port: int) -> bytes:
    """A `struct sockaddr_in` or `sockaddr_in6`; an empty host is any of ours."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[
        0
    ]
    family, place = found[0], found[4]
    packed = socket.inet_pton(family, str(place[0]))
    if family == socket.AF_INET6:
        return struct.pack("@H", family) + struct.pack("!HI", port, 0) + packed + bytes(4)
    return struct.pack("@H", family) + struct.pack("!H", port) + packed + bytes(8)


def main() -> int:
    """Send standard input; the exit code."""
    url = sys.stdin.buffer.readline().decode().strip()
    try:
        stream = Sender(url, 10.0, 10.0)
        print("connected", flush=True)
        while data := os.read(sys.stdin.fileno(), MESSAGE * 16):
            stream.write(data)
        stream.close()
    except HeadlessError as error:
        print(error.message, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
