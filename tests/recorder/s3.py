"""An S3 server on this machine (moto's), and a way to it on which things go wrong."""

import http.client
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from moto.server import ThreadedMotoServer

BUCKET = "lessons"

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
}

Plan = Callable[[str, str, int], str]
"""(method, path, how many-th request) -> what happens to it: see `Faulty.do`."""


@contextmanager
def moto() -> Iterator[str]:
    """A server with an empty bucket; gives its URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        ask(f"{host}:{port}", "PUT", f"/{BUCKET}")
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def ask(address: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """One request, past the faults."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    try:
        connection.request(method, path, body, {"Authorization": _SIGNED})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Way:
    """A proxy before a server. `plan` decides what happens to each request."""

    def __init__(self, server: str) -> None:
        self.plan: Plan = lambda method, path, number: "pass"
        self.seen: list[tuple[str, str]] = []
        self._server = server.removeprefix("http://")
        self._lock = threading.Lock()
        way = self

        class Handler(_Faulty):
            upstream = way._server

            def decide(self) -> str:
                with way._lock:
                    way.seen.append((self.command, self.path))
                    return way.plan(self.command, self.path, len(way.seen))

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> "Way":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Faulty(ABC, BaseHTTPRequestHandler):
    """What may happen to a request: pass; lost (the server never sees it); unheard (it is done, and
    the answer is lost); cut (half of the answer); refused (500); torn (half the body is stored)."""

    upstream = ""

    @abstractmethod
    def decide(self) -> str:
        """Which of these it is."""

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fate = self.decide()
        if fate == "lost":
            self._hang_up()
            return
        if fate == "refused":
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fate == "torn" and self.command == "PUT":
            body = body[: len(body) // 2]
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        headers = {
            name: value for name, value in self.headers.items() if name.lower() != "content-length"
        }
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if fate == "unheard":
            self._hang_up()
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if fate == "cut":
            self.wfile.write(data[: len(data) // 2])
            self._hang_up()
        else:
            self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do  # noqa: N815  (names of http.server)

    def log_message(self, *_: object) -> None:
        pass

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()


_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=testing/20260921/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
)
