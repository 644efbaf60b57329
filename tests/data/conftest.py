"""A data folder of its own for every test, and a web server that misbehaves on demand."""

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mednb.data import download


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("MEDNB_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("MEDNB_OFFLINE", raising=False)


class Server:
    """Serves one body; ``script`` names what each request meets, the last entry for ever."""

    def __init__(self, body: bytes) -> None:
        self.body, self.script = body, ["fine"]
        self.ranges: list[str | None] = []
        self.release = threading.Event()
        self.location = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.ranges.append(self.headers.get("Range"))
                step = outer.script[min(len(outer.ranges), len(outer.script)) - 1]
                self.close_connection = True
                outer.answer(self, step)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/set.npz?download=1"

    def answer(self, h: BaseHTTPRequestHandler, step: str) -> None:
        n, start = len(self.body), 0
        asked = re.fullmatch(r"bytes=(\d+)-", h.headers.get("Range") or "")
        headers: dict[str, str] = {}
        if step.isdigit():
            h.send_response(int(step))
            headers = {"Content-Length": "0", "Retry-After": "0"}
            body = b""
        elif step == "redirect":
            h.send_response(302)
            headers = {"Location": self.location, "Content-Length": "0"}
            body = b""
        elif asked and int(asked[1]) >= n:
            h.send_response(416)
            headers = {"Content-Range": f"bytes */{n}", "Content-Length": "0"}
            body = b""
        else:
            if asked and step != "ignore range":
                start = int(asked[1])
                told = start + 3 if step == "wrong range" else start
                h.send_response(206)
                headers["Content-Range"] = f"bytes {told}-{n - 1}/{n}"
            else:
                h.send_response(200)
            body = self.body[start:]
            if step == "wrong bytes":
                body = bytes(255 - b for b in body)
            if step != "no length":
                headers["Content-Length"] = str(len(body))
        for item in headers.items():
            h.send_header(*item)
        h.end_headers()
        half = max(len(body) // 2, min(len(body), 20_000))
        try:
            if step in ("truncate", "stall"):
                h.wfile.write(body[:half])
                h.wfile.flush()
                if step == "stall":
                    self.release.wait(30)
            elif step == "slow":
                for i in range(0, len(body), max(1, half // 4)):
                    h.wfile.write(body[i : i + max(1, half // 4)])
                    self.release.wait(0.1)
            else:
                h.wfile.write(body)
        except OSError:
            pass  # the client has gone


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server: ``serve(body, "503", "fine")``."""
    running: list[Server] = []

    def start(body: bytes, *script: str) -> Server:
        server = Server(body)
        server.script = list(script) or ["fine"]
        threading.Thread(target=server.http.serve_forever, args=(0.02,), daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.release.set()
        server.http.shutdown()
        server.http.server_close()


@pytest.fixture
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the session speak http to the local server, and be impatient."""
    monkeypatch.setattr(download, "_SCHEMES", ("https://", "http://"))
    monkeypatch.setattr(download, "_TIMEOUT", (5.0, 0.3))
    monkeypatch.setattr(download, "_PAUSE", 0.001)
