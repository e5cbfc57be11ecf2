import multiprocessing
import os
import shutil
import time

import pytest

from ml_backend.labelstudio.files.file_cache import FileCache

MIB = 1 << 20


@pytest.fixture
def cache(tmp_path):
    return FileCache(tmp_path / "images", 10 * MIB)


def files(cache):
    return [path for path in cache._folder.rglob("*") if path.is_file()]


def test_what_is_kept_comes_back_whole(cache):
    content = bytes(range(256)) * 9 + b"\n\n"
    cache.put("a", content, {"If-None-Match": '"1"'})
    kept = cache.get("a")
    assert (kept.content, kept.validators) == (content, {"If-None-Match": '"1"'})
    assert 0 <= kept.age < 5
    assert cache.get("b") is None
    cache.put("a", b"", {})
    assert cache.get("a").content == b""


def test_age_counts_from_what_the_server_said_and_not_from_use(cache):
    cache.put("a", b"1", {})
    (path,) = files(cache)
    os.utime(path, (time.time(), time.time() - 1000))
    assert cache.get("a").age == pytest.approx(1000, abs=5)
    assert cache.get("a").age == pytest.approx(1000, abs=5)
    cache.confirm("a")
    assert cache.get("a").age < 5
    os.utime(path, (time.time(), time.time() + 1000))
    assert cache.get("a").age == float("inf")


def test_only_this_user_can_read_them(cache):
    cache.put("a", b"1", {})
    assert [path.stat().st_mode & 0o077 for path in files(cache)] == [0]


def test_the_least_recently_used_go_first(cache):
    for number in range(9):
        cache.put(str(number), bytes(MIB), {})
        if number > 1:
            assert cache.get("0") is not None
    cache.put("9", bytes(MIB), {})
    assert cache.get("0") is not None
    assert cache.get("9") is not None
    assert cache.get("1") is None
    assert sum(path.stat().st_size for path in files(cache)) <= 10 * MIB


def test_what_an_earlier_process_left_counts(cache, tmp_path):
    for number in range(8):
        cache.put(str(number), bytes(MIB), {})
    FileCache(tmp_path / "images", 4 * MIB).put("new", b"1", {})
    assert sum(path.stat().st_size for path in files(cache)) <= 4 * MIB


def test_a_file_larger_than_the_bound_does_not_stay(cache):
    cache.put("a", bytes(11 * MIB), {})
    assert files(cache) == []


def test_without_room_nothing_is_written(tmp_path):
    cache = FileCache(tmp_path / "images", 0)
    cache.put("a", b"1", {})
    assert cache.get("a") is None
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize(
    "left",
    [b"", b"\n", b"{}\nx", b"[]\nx", b'{"length": 3}\nabc', b"\x80\x04.", b'{"length": 9}\nabc'],
)
def test_a_broken_file_is_as_none(cache, left):
    cache.put("a", b"abc", {})
    (path,) = files(cache)
    path.write_bytes(left)
    assert cache.get("a") is None
    cache.put("a", b"abc", {})
    assert cache.get("a").content == b"abc"


def test_it_may_be_deleted_at_any_moment(cache):
    cache.put("a", b"1", {})
    shutil.rmtree(cache._folder)
    assert cache.get("a") is None
    cache.confirm("a")
    cache.drop("a")
    cache.put("a", b"2", {})
    assert cache.get("a").content == b"2"


def test_a_disk_that_refuses_stops_nobody(tmp_path, caplog):
    (tmp_path / "images").write_text("a file where the folder should be")
    cache = FileCache(tmp_path / "images", MIB)
    cache.put("a", b"1", {})
    assert cache.get("a") is None
    assert "not kept" in caplog.text


def test_parts_that_a_killed_process_left_are_removed(cache):
    cache.put("a", b"1", {})
    part = files(cache)[0].parent / "x.part"
    part.write_bytes(b"half")
    os.utime(part, (0, 0))
    cache.put("b", bytes(MIB), {})
    assert not part.exists()


def _hammer(folder, seed, failed):
    cache = FileCache(folder, MIB)
    for round_ in range(300):
        key = (round_ * 7 + seed) % 40
        cache.put(str(key), bytes([key]) * 50_000, {"key": str(key)})
        other = (key * 3) % 40
        kept = cache.get(str(other))
        if kept and (
            kept.content != bytes([other]) * 50_000 or kept.validators["key"] != str(other)
        ):
            failed.set()


def test_several_processes_share_a_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    failed = context.Event()
    processes = [context.Process(target=_hammer, args=(tmp_path, n, failed)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert not failed.is_set()
    total = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert total <= 1.1 * MIB
