import errno
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from mednb.data import download
from mednb.data.download import RemoteFile, fetch, readable_size
from mednb.errors import ChecksumError, DownloadError

BODY = bytes(i * i % 251 for i in range(300_001))

#: What is kept of a transfer that breaks off after half: whole blocks.
KEPT = len(BODY) // 2 // download._CHUNK * download._CHUNK

#: What a child process runs: the same fetch, with http allowed to the local server.
CHILD = """
import sys
from pathlib import Path
from mednb.data import download
download._SCHEMES = ("https://", "http://")
download._TIMEOUT = (30.0, 60.0)
url, md5, path = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
file = download.RemoteFile("set.npz", "Set", url, md5, "CC BY 4.0")
print(download.fetch(file, Path(path)))
"""


def remote(url: str, body: bytes = BODY) -> RemoteFile:
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return RemoteFile("set.npz", "A set", url, md5, "CC BY-NC 4.0")


def left_in(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if not p.name.endswith(".lock")}


@pytest.mark.usefixtures("plain_http")
class TestServerThatMisbehaves:
    def test_size_licence_and_source_are_shown_first(self, serve, tmp_path, capsys):
        fetch(remote(serve(BODY).url), tmp_path / "set.npz")
        line = capsys.readouterr().out
        assert line.count("\n") == 1
        assert "A set" in line
        assert "300.0 kB" in line
        assert "CC BY-NC 4.0" in line
        assert "127.0.0.1" in line

    @pytest.mark.parametrize(
        ("script", "ranges"),
        [
            (["fine"], [None]),
            (["no length"], [None]),
            (["503", "503", "fine"], [None, None, None]),
            (["429", "fine"], [None, None]),
            (["truncate", "fine"], [None, "half"]),
            (["stall", "fine"], [None, "half"]),
            (["truncate", "ignore range"], [None, "half"]),
            (["truncate", "wrong range", "fine"], [None, "half", None]),
            (["truncate", "503", "fine"], [None, "half", "half"]),
            (["truncate", "wrong bytes", "fine"], [None, "half", None]),
        ],
        ids=lambda v: ",".join(v) if isinstance(v, list) and v[0] else "",
    )
    def test_the_file_arrives_whole(self, serve, tmp_path, script, ranges):
        server = serve(BODY, *script)
        path = fetch(remote(server.url), tmp_path / "set.npz")
        assert path.read_bytes() == BODY
        assert left_in(tmp_path) == {"set.npz"}
        half = f"bytes={KEPT}-"
        assert server.ranges == [half if r == "half" else r for r in ranges]

    def test_a_body_that_is_broken_off_without_a_length_is_noticed(self, serve, tmp_path):
        server = serve(BODY[: len(BODY) // 2], "no length")
        with pytest.raises(ChecksumError):
            fetch(remote(server.url), tmp_path / "set.npz")

    def test_wrong_bytes_never_take_the_final_name(self, serve, tmp_path):
        server = serve(BODY, "wrong bytes")
        with pytest.raises(ChecksumError, match="not the published file") as caught:
            fetch(remote(server.url), tmp_path / "set.npz")
        assert remote(server.url).md5 in str(caught.value)
        assert left_in(tmp_path) == set()
        assert len(server.ranges) == 1

    def test_it_gives_up_after_five_tries_without_progress_and_keeps_the_piece(
        self, serve, tmp_path
    ):
        server = serve(BODY, "truncate", "503")
        with pytest.raises(DownloadError, match=r"503 .* 5 times in a row"):
            fetch(remote(server.url), tmp_path / "set.npz")
        assert len(server.ranges) == 5
        assert (tmp_path / "set.npz.part").stat().st_size == KEPT
        server.script = ["fine"]
        assert fetch(remote(server.url), tmp_path / "set.npz").read_bytes() == BODY
        assert server.ranges[-1] == f"bytes={KEPT}-"

    def test_a_transfer_that_always_breaks_but_always_advances_gets_there(self, serve, tmp_path):
        server = serve(BODY, "truncate")
        assert fetch(remote(server.url), tmp_path / "set.npz").read_bytes() == BODY
        assert len(server.ranges) > download._TRIES

    def test_a_refusal_is_not_repeated(self, serve, tmp_path):
        server = serve(BODY, "404")
        with pytest.raises(DownloadError, match="404"):
            fetch(remote(server.url), tmp_path / "set.npz")
        assert len(server.ranges) == 1

    def test_a_whole_part_only_lacks_its_name(self, serve, tmp_path):
        (tmp_path / "set.npz.part").write_bytes(BODY)
        server = serve(BODY)
        assert fetch(remote(server.url), tmp_path / "set.npz").read_bytes() == BODY

    @pytest.mark.parametrize("left", [b"x" * 1000, BODY + b"x", b"y" * len(BODY)])
    def test_a_damaged_part_is_thrown_away(self, serve, tmp_path, left):
        (tmp_path / "set.npz.part").write_bytes(left)
        server = serve(BODY)
        assert fetch(remote(server.url), tmp_path / "set.npz").read_bytes() == BODY

    def test_nobody_listens(self, tmp_path, serve):
        server = serve(BODY)
        server.http.shutdown()
        server.http.server_close()
        with pytest.raises(DownloadError, match="5 times in a row"):
            fetch(remote(server.url), tmp_path / "set.npz")

    def test_a_long_wait_that_the_server_asks_for_is_capped(self, serve, tmp_path, monkeypatch):
        waits: list[float] = []
        monkeypatch.setattr(time, "sleep", waits.append)
        monkeypatch.setattr(download, "_PAUSE", 1.0)
        with pytest.raises(DownloadError):
            fetch(remote(serve(BODY, "503").url), tmp_path / "set.npz")
        assert len(waits) == 4
        assert all(2**k / 2 <= w <= 2**k for k, w in enumerate(waits))


class TestOnlySafeConnections:
    def test_http_is_not_spoken(self, serve, tmp_path):
        server = serve(BODY)
        with pytest.raises(DownloadError, match="not safe"):
            fetch(remote(server.url), tmp_path / "set.npz")
        assert server.ranges == []

    def test_a_redirect_to_another_scheme_is_not_followed(self, serve, tmp_path, monkeypatch):
        first, second = serve(BODY, "redirect"), serve(BODY)
        first.location = second.url.replace("127.0.0.1", "localhost")

        def session() -> requests.Session:
            s = requests.Session()
            s.adapters.clear()  # stands for https://: the one place this session may go
            s.mount(f"http://127.0.0.1:{first.port}/", requests.adapters.HTTPAdapter())
            return s

        monkeypatch.setattr(download, "https_session", session)
        with pytest.raises(DownloadError, match="not safe"):
            fetch(remote(first.url), tmp_path / "set.npz")
        assert (len(first.ranges), second.ranges) == (1, [])

    def test_the_session_has_an_adapter_for_https_only(self):
        assert list(download.https_session().adapters) == ["https://"]

    def test_a_server_without_a_certificate_is_refused_at_once(self, serve, tmp_path):
        server = serve(BODY)
        with pytest.raises(DownloadError, match="not safe"):
            fetch(remote(server.url.replace("http:", "https:")), tmp_path / "set.npz")
        assert server.ranges == []


@pytest.mark.usefixtures("plain_http")
class TestDisk:
    def test_too_little_room_is_noticed_before_the_first_byte(self, serve, tmp_path, monkeypatch):
        usage = type("usage", (), {"free": 1000})
        monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(DownloadError, match=r"disk is full .*300.0 kB are needed, 1.0 kB"):
            fetch(remote(serve(BODY).url), tmp_path / "set.npz")
        assert left_in(tmp_path) == set()

    def test_a_disk_that_fills_up_leaves_a_piece_that_is_resumed(
        self, serve, tmp_path, monkeypatch
    ):
        server = serve(BODY)
        real_open = Path.open

        class Full:
            def __init__(self, f):
                self.f, self.room = f, 100_000

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.f.close()

            def write(self, data):
                self.f.write(data[: self.room])
                if len(data) > self.room:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self.room -= len(data)

        def full_open(self, mode="r", *args, **kwargs):
            f = real_open(self, mode, *args, **kwargs)
            return Full(f) if self.suffix == ".part" and mode in ("wb", "ab") else f

        with monkeypatch.context() as m:
            m.setattr(Path, "open", full_open)
            with pytest.raises(DownloadError, match="disk is full") as caught:
                fetch(remote(server.url), tmp_path / "set.npz")
        assert isinstance(caught.value.__cause__, OSError)
        assert left_in(tmp_path) == {"set.npz.part"}
        assert fetch(remote(server.url), tmp_path / "set.npz").read_bytes() == BODY
        assert server.ranges == [None, "bytes=100000-"]

    def test_a_folder_that_cannot_be_written(self, serve, tmp_path, monkeypatch):
        real_open = Path.open

        def refuse(self, mode="r", *args, **kwargs):
            if mode in ("wb", "ab"):
                raise PermissionError(errno.EACCES, "Permission denied")
            return real_open(self, mode, *args, **kwargs)

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(DownloadError, match=r"cannot be written .*MEDNB_DATA"):
            fetch(remote(serve(BODY).url), tmp_path / "set.npz")


class TestManyProcesses:
    def start(self, url: str, path: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CHILD, url, remote(url).md5, str(path)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def go(self, *children: subprocess.Popen[str]) -> None:
        """Let all begin at once, after each has finished its imports."""
        for child in children:
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()

    def test_eight_at_once_download_once(self, serve, tmp_path):
        server = serve(BODY, "slow")
        path = tmp_path / "set.npz"
        children = [self.start(server.url, path) for _ in range(8)]
        self.go(*children)
        ends = [(child.communicate(timeout=120), child.returncode) for child in children]
        assert [code for _, code in ends] == [0] * 8, ends
        assert server.ranges == [None]
        assert path.read_bytes() == BODY
        assert sum("Downloading" in out for (out, _), _ in ends) == 1

    @pytest.mark.usefixtures("plain_http")
    def test_a_killed_download_holds_no_lock_and_is_resumed(self, serve, tmp_path):
        server = serve(BODY, "stall", "fine")
        path = tmp_path / "set.npz"
        child = self.start(server.url, path)
        self.go(child)
        part = tmp_path / "set.npz.part"
        until = time.monotonic() + 60
        while not server.ranges and time.monotonic() < until:
            time.sleep(0.02)
        while not (part.exists() and part.stat().st_size >= KEPT) and time.monotonic() < until:
            time.sleep(0.02)
        child.kill()
        child.communicate()
        have = part.stat().st_size
        assert fetch(remote(server.url), path).read_bytes() == BODY
        assert have > 0
        assert server.ranges == [None, f"bytes={have}-"]
        assert not part.exists()

    def test_a_lock_that_is_never_given_back(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(download, "_LOCK_SECONDS", 0.1)
        monkeypatch.setattr(download, "_PATIENCE", 0.1)
        path = tmp_path / "set.npz"
        with (
            download.locked(path, "downloading"),
            pytest.raises(DownloadError, match="another process"),
        ):
            fetch(remote("https://127.0.0.1/"), path)
        assert "Waiting" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (9**11, "31.38 GB")],
)
def test_readable_size(n, text):
    assert readable_size(n) == text
