import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from ml_backend.errors import ModelError
from ml_backend.predictors import files, registry
from ml_backend.predictors.base import Predictions
from ml_backend.predictors.registry import ModelRegistry
from ml_backend.settings import ServiceSettings
from tests.unit.waiting import until

MIB = 1 << 20
loads = []
threads_given = []
ALIVE = weakref.WeakSet()


class Slow:
    """A predictor as a scheme names it: one MiB of network, loaded when the test lets it."""

    classes = ("a",)
    joints = ()
    reads = "image"
    serves = frozenset({"choice"})
    may_load = threading.Event()
    may_run = threading.Event()
    fails = False

    @staticmethod
    def version_of(name, folder, downloads):
        return files.version(name, files.locate(folder, name.partition(":")[2]))

    def __init__(self, name, folder, threads, downloads):
        loads.append(name)
        threads_given.append(threads)
        if name.endswith("slow.pt"):
            assert Slow.may_load.wait(10)
        if Slow.fails:
            raise ModelError("cannot be loaded")
        self.version = self.version_of(name, folder, downloads)
        self.network = torch.nn.Linear(MIB // 4, 1, bias=False)
        self.itself = self
        ALIVE.add(self)

    def predict(self, items, geometry):
        assert Slow.may_run.wait(10)
        return Predictions.of_classes(np.ones((len(items), 1), dtype=np.float32))


@pytest.fixture(autouse=True)
def slow(monkeypatch):
    monkeypatch.setitem(registry.SCHEMES, "slow", (__name__, "Slow"))
    monkeypatch.setattr(Slow, "fails", False)
    loads.clear()
    threads_given.clear()
    Slow.may_load.set()
    Slow.may_run.set()


@pytest.fixture
def folder(tmp_path):
    for name in ("a.pt", "b.pt", "c.pt", "slow.pt"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def models(folder, **settings):
    return ModelRegistry(ServiceSettings(model_dir=folder, **settings))


def test_a_model_loads_once_however_many_ask(folder):
    known = models(folder)
    Slow.may_load.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(known.get, "slow:slow.pt") for _ in range(8)]
        until(lambda: loads)
        Slow.may_load.set()
        assert len({id(one.result(10)) for one in asked}) == 1
    assert loads == ["slow:slow.pt"]
    assert known.get("slow:slow.pt").version == known.version("slow:slow.pt")


def test_loading_one_holds_back_no_other(folder):
    known = models(folder)
    known.get("slow:a.pt")
    Slow.may_load.clear()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(known.get, "slow:slow.pt")
        until(lambda: "slow:slow.pt" in loads)
        assert len(known.get("slow:a.pt").predict([0], "choice")) == 1
        assert known.get("slow:b.pt").classes == ("a",)
        assert not asked.done()
        Slow.may_load.set()
        asked.result(10)


def test_the_least_recently_used_goes_for_room(folder):
    known = models(folder, model_memory_mb=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        known.get(f"slow:{name}.pt")
    assert loads == [f"slow:{name}.pt" for name in "abcb"]
    assert len(ALIVE) == 2


def test_the_newest_stays_however_large(folder):
    known = models(folder, model_memory_mb=1)
    for name in ("a", "a", "b", "b"):
        known.get(f"slow:{name}.pt")
    assert loads == ["slow:a.pt", "slow:b.pt"]


def test_one_at_work_does_not_go(folder):
    known = models(folder, model_memory_mb=2)
    Slow.may_run.clear()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(lambda: known.get("slow:a.pt").predict([0], "choice"))
        until(lambda: loads and known.get("slow:a.pt").in_use)
        known.get("slow:b.pt")
        known.get("slow:c.pt")
        known.get("slow:a.pt")
        Slow.may_run.set()
        assert len(working.result(10)) == 1
    assert loads == ["slow:a.pt", "slow:b.pt", "slow:c.pt"]


def test_one_that_somebody_holds_is_not_loaded_twice(folder):
    known = models(folder, model_memory_mb=1)
    held = known.get("slow:a.pt")
    known.get("slow:b.pt")
    assert known.get("slow:a.pt") is held
    assert loads == ["slow:a.pt", "slow:b.pt"]


def test_a_replaced_file_is_a_new_model_and_the_old_one_goes(folder):
    known = models(folder)
    first = known.get("slow:a.pt").version
    (folder / "a.pt").write_bytes(b"other weights")
    assert known.get("slow:a.pt").version != first
    assert len(ALIVE) == 1


def test_a_file_replaced_while_it_loads_is_said(folder):
    known = models(folder)
    Slow.may_load.clear()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(known.get, "slow:slow.pt")
        until(lambda: loads)
        (folder / "slow.pt").write_bytes(b"other weights")
        Slow.may_load.set()
        with pytest.raises(ModelError, match="was replaced while it was loaded; try again"):
            asked.result(10)
    assert known.get("slow:slow.pt").version == known.version("slow:slow.pt")


def test_a_model_that_could_not_be_loaded_is_tried_again(folder, monkeypatch):
    known = models(folder)
    monkeypatch.setattr(Slow, "fails", True)
    with pytest.raises(ModelError, match="cannot be loaded"):
        known.get("slow:a.pt")
    monkeypatch.setattr(Slow, "fails", False)
    assert known.get("slow:a.pt").classes == ("a",)


def test_threads_are_those_set_or_one_per_core(folder):
    models(folder, threads=3).get("slow:a.pt")
    models(folder).get("slow:a.pt")
    assert threads_given[0] == 3
    assert threads_given[1] >= 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "no model is named"),
        ("none.pt", "is not in the model folder; there are: a.pt"),
        ("../a.pt", "is not in the model folder"),
        ("http://x/a.pt", "is not in the model folder"),
        ("weights.safetensors", "is neither .pt nor .onnx; say what it is by one of timm:"),
        ("timm:none.pt", "is not in the model folder"),
    ],
)
def test_what_is_no_model_is_said(folder, name, said):
    (folder / "weights.safetensors").write_bytes(b"")
    for ask in (models(folder).version, models(folder).get):
        with pytest.raises(ModelError, match=said):
            ask(name)


def test_versions_are_of_the_files_that_need_no_scheme(folder):
    (folder / "d.onnx").write_bytes(b"d")
    (folder / "e.safetensors").write_bytes(b"e")
    known = models(folder)
    names = ["a.pt", "b.pt", "c.pt", "d.onnx", "slow.pt"]
    assert known.versions() == [known.version(name) for name in names]
    assert [version.partition("@")[0] for version in known.versions()] == [
        name.partition(".")[0] for name in names
    ]


def test_a_real_classifier_is_served_and_measured(tmp_path):
    network = timm.create_model("test_resnet", num_classes=2)
    content = {"arch": "test_resnet", "classes": ["a", "b"], "state_dict": network.state_dict()}
    torch.save(content, tmp_path / "m.pth")
    model = models(tmp_path, threads=1).get("timm:m.pth")
    assert len(model.predict([np.zeros((9, 9, 3), dtype=np.uint8)] * 40, "choice")) == 40
    size = sum(each.numel() * each.element_size() for each in network.state_dict().values())
    assert model.memory == size


def test_both_networks_of_an_ultralytics_model_are_counted():
    folder = Path(registry.__file__).parents[1] / "demo" / "models"
    model = models(folder, threads=1).get("digits-detect.pt")
    yolo = model.predictor.model
    loaded, fused = yolo.model, yolo.predictor.model.backend.model
    assert loaded is not fused
    sizes = [
        sum(each.numel() * each.element_size() for each in (*one.parameters(), *one.buffers()))
        for one in (loaded, fused)
    ]
    assert min(sizes) > 0
    assert sum(sizes) <= model.memory < 1.01 * sum(sizes)


FIRST = """
import sys
from pathlib import Path
import ml_backend
from ml_backend.predictors.registry import ModelRegistry, warm_up
from ml_backend.settings import ServiceSettings
warm_up()
before = set(sys.modules)
folder = Path(ml_backend.__file__).parent / "demo" / "models"
for name in ("digits-detect.pt", "digits-classify.pt"):
    ModelRegistry(ServiceSettings(model_dir=folder)).get(name)
print(len(before), len(set(sys.modules) - before))
"""


def test_the_first_model_of_a_warm_process_imports_next_to_nothing():
    done = subprocess.run(
        [sys.executable, "-c", FIRST], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    before, imported = map(int, done.stdout.splitlines()[-1].split())
    # Of a process that is not warm: 1031.
    assert before > 1000
    assert imported < 20
