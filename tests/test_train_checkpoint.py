"""A checkpoint is there whole, or the one before it is."""

import os
import zipfile

import numpy as np
import pytest

from mednb.errors import DataError
from mednb.train import checkpoint


def _write(folder, epoch):
    arrays = {"state/00000": np.full((7, 8), epoch, np.float32), "state/00001": np.int64([epoch])}
    return checkpoint.write(folder, epoch, arrays, {"columns": {"loss": [0.1 + epoch]}})


def test_round_trip_is_bit_identical(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    values[0, :3] = [np.nan, -0.0, np.inf]
    checkpoint.write(tmp_path / "new" / "folder", 1, {"a": values}, {"f": 0.1 + 0.2, "n": None})
    arrays, description = checkpoint.read_newest(tmp_path / "new" / "folder")
    assert arrays["a"].tobytes() == values.tobytes()
    assert description == {"f": 0.1 + 0.2, "n": None}


def test_nothing_there(tmp_path):
    assert checkpoint.read_newest(tmp_path / "absent") is None
    assert checkpoint.read_newest(tmp_path) is None


def test_two_newest_are_kept_and_leftovers_removed(tmp_path):
    (tmp_path / "killed.tmp").write_bytes(b"half")
    for epoch in range(1, 12):
        _write(tmp_path, epoch)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["epoch-000010.npz", "epoch-000011.npz"]
    assert checkpoint.read_newest(tmp_path)[0]["state/00001"] == 11


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped byte", "not a zip", "no text"])
def test_damaged_newest_falls_back(tmp_path, damage):
    _write(tmp_path, 1)
    newest = _write(tmp_path, 2)
    content = bytearray(newest.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content = bytearray()
    elif damage == "flipped byte":
        with zipfile.ZipFile(newest) as file:
            start = file.getinfo("state/00000.npy").header_offset
        content[start + 250] ^= 1
    elif damage == "not a zip":
        content[:] = b"x" * len(content)
    newest.write_bytes(content)
    if damage == "no text":
        np.savez(newest, a=np.zeros(3))
    with pytest.warns(UserWarning, match=r"epoch-000002\.npz is damaged"):
        arrays, description = checkpoint.read_newest(tmp_path)
    assert arrays["state/00001"] == 1
    assert description["columns"]["loss"] == [1.1]


def test_pickles_are_never_read_or_written(tmp_path):
    with pytest.raises((DataError, ValueError)):
        checkpoint.write(tmp_path, 1, {"a": np.array([{}], dtype=object)}, {})
    np.savez(tmp_path / "epoch-000001.npz", allow_pickle=True, a=np.array([{}], dtype=object))
    with pytest.warns(UserWarning, match="damaged"):
        assert checkpoint.read_newest(tmp_path) is None


class Killed(BaseException):
    """What a SIGKILL is to the code around it: nothing can handle it."""


@pytest.mark.parametrize("call", ["savez", "fsync", "replace"])
def test_killed_while_writing_leaves_the_one_before(tmp_path, monkeypatch, call):
    _write(tmp_path, 1)

    def kill(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as m:
        if call == "savez":
            whole = np.savez

            def half(file, *args, **kwargs):
                whole(file, *args, **kwargs)
                file.truncate(100)
                raise Killed

            m.setattr(np, "savez", half)
        elif call == "fsync":
            m.setattr(os, "fsync", kill)
        else:
            m.setattr("pathlib.Path.replace", kill)
        with pytest.raises(Killed):
            _write(tmp_path, 2)
    assert checkpoint.read_newest(tmp_path)[0]["state/00001"] == 1
    _write(tmp_path, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["epoch-000001.npz", "epoch-000002.npz"]


def test_flushed_before_it_is_renamed(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("flush"), fsync(handle)))
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda a, b: (calls.append("rename"), replace(a, b))[1]
    )
    _write(tmp_path, 1)
    assert calls[:2] == ["flush", "rename"]


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="can be written"):
        _write(tmp_path / "file", 1)
