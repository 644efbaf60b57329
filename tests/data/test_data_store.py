"""Downloads end in one whole file or one error of ours; what is kept is shared and verified."""

import errno
import gzip
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import reply  # type: ignore[import-not-found]

from mednb.data import store
from mednb.errors import ChecksumError, DataError, DownloadError, MednbError, OfflineError

BODY = bytes(i * i % 251 for i in range(300_001))


def remote(url: str, body: bytes = BODY, most: int = 400_000) -> store.RemoteFile:
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return store.RemoteFile("set.npz", "A set", "medmnist", url, md5, "CC BY-NC 4.0", most)


def left() -> list[str]:
    """What stands in the data folder, locks and what is kept left out."""
    paths = store.data_folder().rglob("*")
    return [
        p.name
        for p in paths
        if p.is_file() and not p.name.startswith(".") and "kept" not in p.parts
    ]


def trickle(server):
    yield reply(BODY)[:200]
    while not server.gone.wait(0.05):
        yield b"x"


def stall(server):
    yield reply(BODY)[:100_000]
    server.gone.wait(30)


def slow_headers(server):
    yield b"HTTP/1.1 200 OK\r\n"
    while not server.gone.wait(0.05):
        yield b"X-A: b\r\n"


def endless(server):
    yield reply(b"", length=False)
    while not server.gone.is_set():
        yield bytes(2**16)


@pytest.mark.usefixtures("plain_http")
class TestDownloads:
    @pytest.mark.parametrize(
        ("script", "asked"),
        [
            ([reply(BODY)], 1),
            ([reply(BODY, length=False)], 1),
            ([reply(b"", "503 Busy"), reply(b"", "429 Slowly"), reply(BODY)], 3),
            ([reply(BODY)[:-1000], reply(BODY)], 2),
            ([stall, reply(BODY)], 2),
            ([slow_headers, reply(BODY)], 2),
            ([b"nonsense\r\n\r\n", b"", reply(BODY)], 3),
            ([reply(BODY, "200 OK", "Content-Length: \xb2", length=False)], 1),
            ([reply(BODY, "200 OK", "Content-Length: " + "9" * 5000, length=False)], 1),
        ],
    )
    def test_the_file_arrives_whole(self, serve, capsys, script, asked):
        server = serve(*script)
        path = store.obtain(remote(server.url))
        assert path.read_bytes() == BODY
        assert left() == ["set.npz"]
        assert len(server.asked) == asked
        line = capsys.readouterr().out
        assert line.count("Downloading A set") == 1  # with size and licence, before the first byte
        assert "at most 0.4 MB" in line
        assert "CC BY-NC 4.0" in line
        store.obtain(remote(server.url))
        assert len(server.asked) == asked

    @pytest.mark.parametrize(
        ("step", "says"),
        [
            (reply(BODY[::-1]), "not the published"),
            (reply(b"<html>log in</html>"), "login page"),
            (reply(b"", "404 Not Found"), "404"),
            (reply(b"", "500 \x1b[2JBroken"), r"500 \?\[2JBroken"),
            (reply(b"", "503 Busy"), r"2 times.*mednb data set.*To: .*medmnist/set.npz"),
            (trickle, "bytes came in"),
            (stall, r"timed out|bytes came in"),
            (slow_headers, "only 0 bytes came in"),
            (endless, "at most 0.4 MB.*sent more"),
            (reply(BODY * 2, "200 OK"), "at most 0.4 MB.*sent more"),
            (reply(gzip.compress(BODY), "200 OK", "Content-Encoding: gzip"), "not the published"),
            (reply(b"", "302 Go", "Location: https://[::1"), "connection failed"),
            (reply(b"", "302 Go", "Location: file:///etc/passwd"), "not safe"),
            (reply(b"", "302 Go", "Location: ftp://127.0.0.1/x"), "not safe"),
            (reply(b"", "302 Go", "Location: /again"), "302 Go"),
            (reply(b"", "302 Go"), "302"),
        ],
        ids=lambda v: v if isinstance(v, str) else "",
    )
    def test_or_one_error_of_ours_says_why(self, serve, monkeypatch, step, says):
        monkeypatch.setattr(store, "_WINDOW", 0.3)
        monkeypatch.setattr(store, "_TRIES", 2)
        with pytest.raises(DownloadError, match=says) as caught:
            store.obtain(remote(serve(step).url))
        assert left() == []
        assert "\x1b" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None

    def test_a_full_disk(self, serve, monkeypatch):
        def full(*_: object, **__: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(store, "_fetch", full)
        with pytest.raises(DownloadError, match=r"disk is full.*MEDNB_DATA"):
            store.obtain(remote(serve(reply(BODY)).url))
        assert left() == []

    @pytest.mark.parametrize("kind", ["link", "pipe"])
    def test_what_lies_in_the_way_is_not_followed(self, serve, tmp_path, kind):
        place = store.data_folder() / "medmnist"
        place.mkdir(parents=True)
        mine = tmp_path / "mine"
        mine.write_bytes(b"mine")
        for name in (".set.npz.part", "set.npz.part"):
            if kind == "link":
                (place / name).symlink_to(mine)
            else:
                os.mkfifo(place / name)
        assert store.obtain(remote(serve(reply(BODY)).url)).read_bytes() == BODY
        assert mine.read_bytes() == b"mine"

    def test_a_wrong_file_is_left_alone_and_a_right_one_verified_once(self, monkeypatch):
        path = store.data_folder() / "set.npz"
        path.parent.mkdir()
        path.write_bytes(b"mine")
        with pytest.raises(ChecksumError, match=remote("").md5):
            store.obtain(remote("http://127.0.0.1/"))
        assert path.read_bytes() == b"mine"
        path.write_bytes(BODY)
        assert store.obtain(remote("")) == path
        with monkeypatch.context() as m:
            m.setattr(hashlib, "file_digest", None)  # a second time the stamp is enough
            assert store.obtain(remote("")) == path
        path.write_bytes(BODY[:-1] + b"?")
        with pytest.raises(ChecksumError):
            store.obtain(remote(""))

    def test_what_a_read_only_folder_lacks_goes_to_the_cache(self, serve):
        shared = store.data_folder()
        shared.mkdir()
        shared.chmod(0o555)
        try:
            path = store.obtain(remote(serve(reply(BODY)).url))
            assert path.is_relative_to(store.cache_folder())
            assert list(shared.iterdir()) == []
        finally:
            shared.chmod(0o755)


class TestOnlySafeConnections:
    def test_http_is_not_spoken(self, serve):
        server = serve(reply(BODY))
        with pytest.raises(DownloadError, match="not safe"):
            store.obtain(remote(server.url))
        assert server.asked == []

        with pytest.raises(DownloadError, match="not safe"):  # nor https without a certificate
            store.obtain(remote(server.url.replace("http:", "https:")))

    def test_offline(self, monkeypatch):
        monkeypatch.setenv("MEDNB_OFFLINE", "1")
        with pytest.raises(OfflineError, match=r"MEDNB_OFFLINE.*mednb data set.*MD5.*Looked in"):
            store.obtain(remote("https://127.0.0.1/"))

    def test_values_of_the_switch(self, monkeypatch):
        for value, off in (("1", True), ("true", True), ("0", False), ("", False), ("no", False)):
            monkeypatch.setenv("MEDNB_OFFLINE", value)
            assert store.offline() is off


# --- many processes, several users -------------------------------------------------------------

#: What a child process runs: the same call, with http allowed to the local server.
CHILD = """
import encodings.idna, mmap, os, pooch, requests, sys
from mednb.data import store
store._SCHEMES = ("https://", "http://")
url, md5, root, name, user, mask = sys.argv[1:]
if user != "0":
    os.setegid(int(user)); os.seteuid(int(user))
os.umask(int(mask, 8))
print("ready", flush=True)
sys.stdin.readline()
file = store.RemoteFile(name, "Set", "medmnist", url, md5, "CC BY 4.0", 10**6)
print(store.obtain(file, root=root))
import numpy as np
found = store.keep("made", {"n": name}, lambda _: {"a": np.arange(5)}, root=root)
print(found["a"].tolist())
"""


def child(url: str, root: Path, *, name: str = "set.npz", user: int = 0, mask: str = "022"):
    options = [url, remote(url).md5, str(root), name, str(user), mask]
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", CHILD, *options]
    env = os.environ | {"XDG_CACHE_HOME": "/nowhere"}
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env)


def run(*children) -> list[str]:
    for one in children:
        assert one.stdout.readline() == "ready\n", one.stderr.read()
    for one in children:
        one.stdin.write("go\n")
        one.stdin.flush()
    ends = [one.communicate(timeout=120) for one in children]
    assert [one.returncode for one in children] == [0] * len(children), ends
    return [out for out, _ in ends]


def test_eight_processes_download_once(serve, tmp_path):
    def slowly(server):
        whole = reply(BODY)
        for i in range(0, len(whole), 50_000):
            yield whole[i : i + 50_000]
            server.gone.wait(0.1)

    server = serve(slowly)
    said = run(*(child(server.url, tmp_path / "shared") for _ in range(8)))
    assert len(server.asked) == 1
    assert sum("Downloading" in out for out in said) == 1
    assert (tmp_path / "shared" / "medmnist" / "set.npz").read_bytes() == BODY


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs two users")
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_two_users_share_a_folder(serve, mode):
    """Each with a umask that keeps others out of what they make elsewhere."""
    import shutil
    import tempfile

    shared = Path(tempfile.mkdtemp(prefix="mednb-shared-", dir="/tmp"))
    try:
        shared.chmod(mode)
        server = serve(reply(BODY))
        run(child(server.url, shared, user=1001, mask="077"))
        said = run(child(server.url, shared, user=1002, mask="077"))  # reads what the first made
        assert len(server.asked) == 1
        assert "[0, 1, 2, 3, 4]" in said[0]
        run(child(server.url, shared, name="other.npz", user=1002, mask="077"))
        assert {p.name for p in (shared / "medmnist").glob("*.npz")} == {"set.npz", "other.npz"}
        kept = list((shared / "kept").glob("made-*"))
        assert {p.stat().st_uid for p in kept} == {1001, 1002}
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def test_a_lock_that_is_never_given_back(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(store, "_LOCK", 0.1)
    monkeypatch.setattr(store, "_PATIENCE", 0.1)
    path = tmp_path / "set.npz"
    with store.locked(path, "downloading"), pytest.raises(DownloadError, match="another process"):  # noqa: SIM117
        with store.locked(path, "downloading"):
            pass
    assert "Waiting" in capsys.readouterr().out


# --- keep --------------------------------------------------------------------------------------


class Maker:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path | None) -> dict[str, np.ndarray]:
        self.calls += 1
        large = store.empty(folder, "large", (7, 50), "<i4")
        large[:] = np.arange(350).reshape(7, 50)
        return {"large": large, "names": np.array(["a", "bcd"]), "none": np.zeros((0, 3))}


@pytest.fixture(params=["in memory", "mapped"])
def limit(request, monkeypatch):
    monkeypatch.setattr(store, "IN_MEMORY", 1000 if request.param == "mapped" else 2**20)
    return request.param


def same(found: dict[str, np.ndarray]) -> bool:
    large = np.arange(350, dtype="<i4").reshape(7, 50)
    expected = {"large": large, "names": np.array(["a", "bcd"]), "none": np.zeros((0, 3))}
    return found.keys() == expected.keys() and all(
        found[k].dtype == expected[k].dtype and np.array_equal(found[k], expected[k])
        for k in expected
    )


def test_made_once_and_equal_from_disk(limit):
    make = Maker()
    first = store.keep("x", {"n": 5}, make)
    again = store.keep("x", {"n": 5}, make)
    assert make.calls == 1
    assert same(first)
    assert same(again)
    for found in (first, again):
        assert isinstance(found["large"], np.memmap) == (limit == "mapped")
        assert not found["large"].flags.writeable
    store.keep("x", {"n": 6}, make)
    assert make.calls == 2


@pytest.mark.parametrize(
    "damage", ["cut", "flip", "garbage", "empty", "absent", "no index", "bad index", "huge header"]
)
@pytest.mark.usefixtures("limit")
def test_what_is_damaged_is_made_anew(damage):
    make = Maker()
    store.keep("x", {"n": 5}, make)
    (path,) = store.data_folder().rglob("large.npy")
    index, whole = path.with_name("index.json"), path.read_bytes()
    huge = io.BytesIO()
    header = {"descr": "<i4", "fortran_order": False, "shape": (2**40, 50)}
    np.lib.format.write_array_header_1_0(huge, header)
    {
        "cut": lambda: path.write_bytes(whole[:-9]),
        "flip": lambda: path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]),
        "garbage": lambda: path.write_bytes(b"\x93NUMPY no"),
        "empty": lambda: path.write_bytes(b""),
        "absent": path.unlink,
        "no index": index.unlink,
        "bad index": lambda: index.write_text(json.dumps({"large": 3})),
        "huge header": lambda: path.write_bytes(huge.getvalue()),
    }[damage]()
    assert same(store.keep("x", {"n": 5}, make))
    assert make.calls == 2
    assert same(store.keep("x", {"n": 5}, make))
    assert make.calls == 2


def test_a_maker_that_was_killed_leaves_nothing_that_counts(monkeypatch):
    def killed(_):
        raise KeyboardInterrupt

    def refused(_):
        raise DataError("Expected a film.")

    with pytest.raises(KeyboardInterrupt):
        store.keep("x", {"n": 5}, killed)
    with pytest.raises(DataError, match="a film"):
        store.keep("x", {"n": 5}, refused)
    assert same(store.keep("x", {"n": 5}, Maker()))
    assert {p.name for p in store.data_folder().rglob("*.part")} == set()


def test_where_nothing_can_be_kept_it_is_made_each_time(monkeypatch):
    make = Maker()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert same(store.keep("x", {"n": 5}, make))
    monkeypatch.setattr(store, "make_folder", full)
    assert same(store.keep("x", {"n": 5}, make))
    assert list(store.data_folder().rglob("*.npy")) == []


def test_no_room_for_what_does_not_fit_in_memory(monkeypatch):
    monkeypatch.setattr(store, "IN_MEMORY", 1000)

    def make(folder):
        return {"a": store.empty(folder, "a", (2**45,))}

    with pytest.raises(DataError, match=r"Could not keep x: .*are needed.*MEDNB_DATA"):
        store.keep("x", {}, make)


def test_the_data_folder_itself_is_made_as_the_umask_says(tmp_path):
    tmp_path.chmod(0o1777)
    old = os.umask(0o022)
    try:
        store.keep("x", {"n": 1}, Maker())
    finally:
        os.umask(old)
    assert stat.S_IMODE(store.data_folder().stat().st_mode) == 0o755


def test_folders_are_as_open_as_the_one_above(tmp_path):
    tmp_path.chmod(0o2775)
    old = os.umask(0o077)
    try:
        store.write(tmp_path / "a" / "b" / "c.json", b"{}")
    finally:
        os.umask(old)
    modes = [
        stat.S_IMODE((tmp_path / p).stat().st_mode) & 0o777 for p in ("a", "a/b", "a/b/c.json")
    ]
    assert modes == [0o775, 0o775, 0o664]


# --- files from outside ------------------------------------------------------------------------


def npz(path: Path, **members: bytes | np.ndarray) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in members.items():
            data = io.BytesIO()
            if isinstance(content, np.ndarray):
                np.save(data, content, allow_pickle=True)
            z.writestr(f"{name}.npy", content if isinstance(content, bytes) else data.getvalue())
    return path


def header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    f = io.BytesIO()
    about = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(f, about)
    return f.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (np.array([[{}]], dtype=object), "plain array"),
        (np.zeros((2, 3)), "kind u"),
        (np.zeros(3, np.uint8), "of 2 axes"),
        (np.asfortranarray(np.zeros((2, 3), np.uint8)), "C order"),
        (header((2, 3)) + bytes(5), "cannot be read"),
        (header((2, 3)) + bytes(7), "Received: more"),
        (header((2**40, 3)), "GiB"),
        (header((-2, 3)), "claims"),
        (b"\x93NUMPY\x01\x00", "cannot be read"),
        (b"junk", "cannot be read"),
    ],
)
def test_an_array_that_is_not_what_it_should_be(tmp_path, content, says):
    path = npz(tmp_path / "a.npz", x=content)
    with pytest.raises(DataError, match=says):
        store.read_npz(path, {"x": ("u", 2)})


def test_any_damage_of_an_npz_gives_the_array_or_our_error(tmp_path, rng):
    """Flipped bytes meet zlib, LZMA and encryption flags; none of their errors comes through."""
    good = rng.integers(0, 9, (20, 30), dtype=np.uint8)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        data, f = io.BytesIO(), io.BytesIO()
        np.save(f, good)
        with zipfile.ZipFile(data, "w", method) as z:
            z.writestr("x.npy", f.getvalue())
        whole = data.getvalue()
        for _ in range(150):
            content = bytearray(whole)
            at = int(rng.integers(0, len(content)))
            content[at : at + 2] = rng.bytes(2)
            (tmp_path / "a.npz").write_bytes(content[: int(rng.integers(at, len(content) + 1))])
            try:
                found = store.read_npz(tmp_path / "a.npz", {"x": ("u", 2)})["x"]
            except MednbError:
                continue
            np.testing.assert_array_equal(found, good)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a;b\n1;2\n", "without a, b"),
        ("A,c\n1,2\n", "Did you mean 'a'"),
        ("a,b\n1,x\x1b\n", r"column b.*line 2.*'x"),
        ("a,b\n1,nan\n", "number in column b"),
        ("a,b\n1,2\n1\n", "2 cells in line 3"),
        ("a,b\n1,2,3\n", "Received: 3"),
        ("", "cannot be read"),
        ("a,b\n\xff", "cannot be read"),
    ],
)
def test_a_table_that_is_none(tmp_path, text, says):
    (tmp_path / "t.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=says):
        store.read_table(tmp_path / "t.csv", ("a", "b"), ("b",))
