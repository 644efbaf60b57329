"""A data folder of its own for every test, and a web server that misbehaves on demand."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

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


class GirderServer:
    """Speaks what is used of Girder's interface; ``tree`` is folders (dict) and files (bytes)."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.children: dict[str, list[tuple[str, str, Any]]] = {"c0": []}
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        #: Answers that take the place of the next ones: a status, or bytes.
        self.instead: list[int | bytes] = []
        self._add("c0", tree)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                answer = outer.instead.pop(0) if outer.instead else outer.answer(self.path)
                body = b"" if isinstance(answer, int) else answer
                self.send_response(answer if isinstance(answer, int) else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.http.server_address[1]}/api/v1"

    def _add(self, parent: str, tree: dict[str, Any]) -> None:
        for name, content in tree.items():
            own = f"{len(self.children) + len(self.files):04x}"
            self.children.setdefault(parent, []).append((own, name, content))
            if isinstance(content, dict):
                self.children[own] = []
                self._add(own, content)
            else:
                self.files[own] = content

    def answer(self, target: str) -> bytes | int:
        url = urlsplit(target)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        if match := re.fullmatch(r"/api/v1/item/(\w+)/download", url.path):
            return self.files.get(match[1], 404)
        wants_folders = url.path == "/api/v1/folder"
        parent = query["parentId" if wants_folders else "folderId"]
        rows = [
            {"_id": i, "name": name, "size": 0 if wants_folders else len(content)}
            for i, name, content in self.children.get(parent, [])
            if isinstance(content, dict) == wants_folders
        ]
        start = int(query["offset"])
        return json.dumps(rows[start : start + int(query["limit"])]).encode()


@pytest.fixture
def girder(plain_http: None) -> Iterator[Callable[[dict[str, Any]], GirderServer]]:
    """Return a function that starts a Girder server with a tree of folders and files."""
    running: list[GirderServer] = []

    def start(tree: dict[str, Any]) -> GirderServer:
        server = GirderServer(tree)
        threading.Thread(target=server.http.serve_forever, args=(0.02,), daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.http.shutdown()
        server.http.server_close()
