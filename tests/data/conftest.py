"""A data folder of its own for every test, and a server that says what it is told to say."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mednb.data import store


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("MEDNB_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("MEDNB_OFFLINE", raising=False)


def reply(body: bytes, status: str = "200 OK", *headers: str, length: bool = True) -> bytes:
    """Return an HTTP answer as the bytes that go over the wire."""
    told = [f"Content-Length: {len(body)}"] if length else []
    head = "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *headers, *told])
    return head.encode("latin-1") + b"\r\n\r\n" + body


class Server:
    """Answers each request with the next of ``script`` (bytes, or pieces), the last for ever."""

    def __init__(self, script: list[Any]) -> None:
        self.asked: list[bytes] = []
        self.gone = threading.Event()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                asked = b""
                while b"\r\n\r\n" not in asked and (piece := self.request.recv(4096)):
                    asked += piece
                    if not asked.startswith(b"GET"):
                        return  # not HTTP: the beginning of TLS
                if not asked:
                    return
                outer.asked.append(asked)
                step = script[min(len(outer.asked), len(script)) - 1]
                try:
                    for piece in [step] if isinstance(step, bytes) else step(outer):
                        self.request.sendall(piece)
                except OSError:
                    pass  # the client has gone

        class Threads(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        self.tcp = Threads(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.tcp.server_address[1]}/set.npz?download=1"
        threading.Thread(target=self.tcp.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server: ``serve(reply(body))``."""
    running: list[Server] = []

    def start(*script: Any) -> Server:
        running.append(Server(list(script)))
        return running[-1]

    yield start
    for server in running:
        server.gone.set()
        server.tcp.shutdown()
        server.tcp.server_close()


@pytest.fixture
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the session speak http to the local server, and be impatient."""
    monkeypatch.setattr(store, "_SCHEMES", ("https://", "http://"))
    monkeypatch.setattr(store, "_TIMEOUT", (5.0, 0.3))
    monkeypatch.setattr(store, "_ANSWER", 1.0)
    monkeypatch.setattr(store, "_PAUSE", 0.001)
