import hashlib
import json

import pytest

from mednb.data import download, girder
from mednb.data.girder import Entry, Girder
from mednb.errors import ChecksumError, DownloadError

TREE = {"set": {"one": {"a.nii.gz": b"A" * 999, "Info 1.cfg": b"EF: 50"}, "two": {}}}


@pytest.fixture
def server(girder):
    return girder(TREE)


def entries(server) -> dict[str, Entry]:
    speak = Girder(server.base)
    (top,) = speak.folders("c0", kind="collection")
    one = next(entry for entry in speak.folders(top.id) if entry.name == "one")
    return {f"one/{item.name}": item for item in speak.items(one.id)}


def fetched(server, folder):
    wanted = entries(server)
    Girder(server.base).fetch_all(wanted, folder, title="A set", license_="CC BY 4.0")
    return folder


class TestLists:
    def test_folders_and_items(self, server):
        found = entries(server)
        assert {name: entry.size for name, entry in found.items()} == {
            "one/a.nii.gz": 999, "one/Info 1.cfg": 6,
        }  # fmt: skip

    @pytest.mark.parametrize("n", [99, 100, 101, 250])
    def test_page_by_page(self, girder, n):
        server = girder({f"patient{i:04d}": {} for i in range(n)})
        found = Girder(server.base).folders("c0", kind="collection")
        assert [entry.name for entry in found] == [f"patient{i:04d}" for i in range(n)]

    def test_a_server_that_is_busy_is_asked_again(self, server):
        server.instead = [503, 429]
        assert len(Girder(server.base).folders("c0")) == 1
        server.instead = [503] * 9
        with pytest.raises(DownloadError, match="503"):
            Girder(server.base).folders("c0")
        assert len(server.instead) == 9 - download._TRIES

    def test_a_refusal_is_not_repeated(self, server):
        server.instead = [403]
        with pytest.raises(DownloadError, match="403"):
            Girder(server.base).folders("c0")
        assert len(server.asked) == 1

    @pytest.mark.parametrize(
        "answer", [b"<html>log in</html>", b'{"message": "no"}', b'["x"]', b'[{"_id": "1"}]']
    )
    def test_answers_that_are_no_lists(self, server, answer):
        server.instead = [answer]
        with pytest.raises(DownloadError, match="Expected a"):
            Girder(server.base).folders("c0")

    @pytest.mark.parametrize("name", ["../a", "/etc/a", "..", "", "a/b", "a\\b", ".hidden", "a\n"])
    def test_names_that_lead_elsewhere_are_refused(self, server, name):
        server.instead = [json.dumps([{"_id": "01", "name": name, "size": 1}]).encode()]
        with pytest.raises(DownloadError, match="plain file name"):
            Girder(server.base).items("01")

    def test_only_https_is_spoken(self, server, monkeypatch):
        monkeypatch.setattr(download, "_SCHEMES", ("https://",))
        with pytest.raises(DownloadError, match="not safe"):
            Girder(server.base).folders("c0")
        assert server.asked == []


class TestFetch:
    def test_size_and_licence_come_first(self, server, tmp_path, capsys):
        folder = fetched(server, tmp_path)
        assert (folder / "one" / "a.nii.gz").read_bytes() == b"A" * 999
        (line,) = capsys.readouterr().out.splitlines()
        assert all(text in line for text in ("A set", "2 files", "1.0 kB", "CC BY 4.0", "127.0"))
        known = json.loads((folder / "manifest.json").read_bytes())
        assert known["one/Info 1.cfg"] == hashlib.sha256(b"EF: 50").hexdigest()

    def test_what_is_there_is_not_fetched_again(self, server, tmp_path, capsys):
        fetched(server, tmp_path)
        before = sum("download" in path for path in server.asked)
        capsys.readouterr()
        fetched(server, tmp_path)
        assert sum("download" in path for path in server.asked) == before == 2
        assert capsys.readouterr().out == ""

    def test_an_interruption_goes_on(self, server, tmp_path):
        wanted = entries(server)
        server.instead = [b"A" * 999, 404]
        with pytest.raises(DownloadError, match="404"):
            Girder(server.base).fetch_all(wanted, tmp_path, title="A set", license_="CC0")
        assert (tmp_path / "one" / "a.nii.gz").exists()
        fetched(server, tmp_path)
        assert sum("download" in path for path in server.asked) == 3
        assert len(json.loads((tmp_path / "manifest.json").read_bytes())) == 2

    def test_a_file_of_another_size_is_refused(self, server, tmp_path):
        wanted = entries(server)
        server.instead = [b"A" * 500]
        with pytest.raises(ChecksumError, match="999"):
            Girder(server.base).fetch_all(wanted, tmp_path, title="A set", license_="CC0")
        assert not (tmp_path / "one" / "a.nii.gz").exists()

    def test_a_change_after_the_download_is_noticed(self, server, tmp_path):
        fetched(server, tmp_path)
        path = tmp_path / "one" / "a.nii.gz"
        path.write_bytes(b"B" * 999)
        with pytest.raises(ChecksumError, match="left alone"):
            fetched(server, tmp_path)
        with pytest.raises(ChecksumError):
            girder.verify(tmp_path, "one/a.nii.gz")
        assert path.read_bytes() == b"B" * 999

    def test_a_file_put_there_by_hand_must_have_the_size(self, server, tmp_path):
        path = tmp_path / "one" / "a.nii.gz"
        path.parent.mkdir()
        path.write_bytes(b"A")
        with pytest.raises(ChecksumError, match="1 bytes"):
            fetched(server, tmp_path)
        path.write_bytes(b"A" * 999)
        fetched(server, tmp_path)
        assert sum("download" in path for path in server.asked) == 1

    @pytest.mark.parametrize("content", [b"", b"junk", b"[1]"])
    def test_a_damaged_list_of_checksums_counts_as_none(self, server, tmp_path, content):
        (tmp_path / "manifest.json").write_bytes(content)
        fetched(server, tmp_path)
        assert len(json.loads((tmp_path / "manifest.json").read_bytes())) == 2
