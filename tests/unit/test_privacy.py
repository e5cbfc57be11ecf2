"""Other users of the machine read nothing of what Relook keeps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml_backend.privacy import close_folder, keep_private

#: All that writes to a data folder but Redis: the store, and files that were fetched.
WRITES = """
import sys
from pathlib import Path
import pyarrow as pa
from ml_backend.labelstudio.files.file_cache import FileCache
from ml_backend.privacy import keep_private
from ml_backend.storage.tables import Tables

folder, store = Path(sys.argv[1]), sys.argv[2]
keep_private(folder, store_elsewhere=bool(store))
rows = pa.table({"task": [1], "text": ["somebody's words"]})
Tables(store or str(folder / "store")).merge("labels-1", ["task"], rows)
FileCache(folder / "images", 1 << 20).put("a", b"a picture", {})
"""


def mode(path):
    return path.stat().st_mode & 0o777


def written(folder, store=""):
    command = [sys.executable, "-c", WRITES, folder, store]
    subprocess.run(command, check=True, umask=0o022)
    return [path for path in folder.rglob("*") if mode(path) & 0o077]


def test_what_is_written_is_for_its_user_alone(tmp_path):
    data = tmp_path / "made" / "data"
    assert written(data) == []
    assert mode(data) == 0o700
    assert {path.name for path in data.iterdir()} == {"store", "images"}


def test_a_store_elsewhere_keeps_to_the_modes_of_its_owner(tmp_path):
    shared, data = tmp_path / "shared", tmp_path / "data"
    written(data, str(shared))
    assert mode(data) == 0o700
    assert {mode(path) for path in shared.rglob("*") if path.is_file()} == {0o644}


def test_a_folder_that_stands_is_closed_and_one_for_everybody_is_left(tmp_path):
    ours, everybodys = tmp_path / "ours", tmp_path / "everybodys"
    for folder, before in ((ours, 0o755), (everybodys, 0o1777)):
        folder.mkdir()
        folder.chmod(before)
        close_folder(folder)
    assert mode(ours) == 0o700
    assert everybodys.stat().st_mode & 0o7777 == 0o1777


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
def test_a_folder_of_somebody_elses_is_named_and_stops_nobody(caplog):
    # The kernel's: whoever we are, its mode is not ours to change.
    close_folder(Path("/proc/self"))
    assert "other users of this machine can open /proc/self" in caplog.text
    assert "RELOOK_DATA_DIR" in caplog.text


def test_a_folder_that_cannot_be_made_is_left_to_who_writes_there(tmp_path):
    (tmp_path / "file").write_text("")
    before = os.umask(0o022)
    try:
        keep_private(tmp_path / "file" / "data")
    finally:
        os.umask(before)
