"""The JSON file: there and back exactly, whole or not at all, and a ValueError for any other."""

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.broken import broken_bytes, broken_keys
from zenith.core import from_portable, init, load, save, to_portable, update


def portable_after(norms, window):
    state = init(window)
    for norm in norms:
        state = update(state, norm)
    return to_portable(state)


FULL = portable_after([3.0, 2.0, 1.0, float("nan")], 2)
FILLING = portable_after([0.1, 2.0**-100, 1e30], 500)


@given(st.lists(st.floats(width=32), max_size=20), st.integers(1, 7))
def test_there_and_back_is_the_identity(tmp_path_factory, norms, window):
    path = tmp_path_factory.mktemp("state") / "zenith.json"
    portable = portable_after(norms, window)
    save(portable, path)
    loaded = load(str(path))
    assert loaded == portable
    assert [type(norm) for norm in loaded["norms"]] == [float] * len(portable["norms"])
    before, after = from_portable(portable), from_portable(loaded)
    assert [field.tobytes() for field in after] == [field.tobytes() for field in before]


def test_the_file_is_json_with_the_rights_of_any_new_file(tmp_path):
    save(FULL, tmp_path / "zenith.json")
    assert json.loads((tmp_path / "zenith.json").read_text()) == FULL
    (tmp_path / "other").touch()
    assert stat.S_IMODE((tmp_path / "zenith.json").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "other").stat().st_mode
    )


def test_what_is_no_state_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "zenith.json"
    save(FULL, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"'norms' must hold .*Received: nan"):
        save(FULL | {"norms": [1.0, float("nan")]}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["zenith.json"]


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_a_disk_that_fails_on_the_way_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "zenith.json"
    save(FULL, path)
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(call, full_disk)
    with pytest.raises(OSError, match="no space"):
        save(FILLING, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["zenith.json"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Expecting value"),
        (b"[" * 100_000, "one JSON object"),
        (b"\xff", "can't decode"),
        (json.dumps(FULL)[:-1].encode() + b', "peak": 5.0}', "each key must occur once"),
        (json.dumps(FULL).encode() * 2, "Extra data"),
        (json.dumps(FULL | {"skipped": -1}).encode(), "'skipped' must be an int from 0"),
    ],
)
def test_a_bad_file_is_refused_by_its_name(tmp_path, content, why):
    path = tmp_path / "zenith.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"zenith.json does not hold a state of ZENITH.*{why}"):
        load(path)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "zenith.json")


@pytest.mark.parametrize("portable", [FULL, FILLING], ids=["full", "filling"])
def test_ten_thousand_broken_files_load_exactly_or_are_value_errors(tmp_path, portable):
    path = tmp_path / "zenith.json"
    save(portable, path)
    loaded = 0
    for content in broken_bytes(path.read_bytes(), 10_000, seed=0):
        path.unlink()  # a new file: some file systems wait for the disk where one is overwritten
        path.write_bytes(content)
        try:
            received = load(path)
        except ValueError:
            continue
        assert received == json.loads(content)
        loaded += 1
    assert 100 < loaded < 5000


def test_ten_thousand_broken_dicts_are_saved_exactly_or_are_value_errors(tmp_path):
    path = tmp_path / "zenith.json"
    saved = 0
    for portable in broken_keys(FULL, 10_000, seed=1):
        path.unlink(missing_ok=True)
        try:
            save(portable, path)
        except ValueError:
            assert not path.exists()
            continue
        received = load(path)
        assert received == portable | {"norms": list(portable["norms"])}
        saved += 1
    assert 100 < saved < 5000
