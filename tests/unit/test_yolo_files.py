"""Model files as they come: exports, foreign ones, broken ones, hostile ones, absent ones."""

import pickle
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ultralytics import YOLO

from ml_backend.errors import ModelError
from ml_backend.predictors.yolo import YoloPredictor
from ml_backend.predictors.yolo_files import fetch, is_official, open_model, use_threads
from tests.unit.test_yolo import FILES, images_of

FOREIGN = Path("/work/shared/weights/yolox_nano.onnx")
SIDE = {"detect": 160, "classify": 64}


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> dict[str, Path]:
    """An ONNX export of every model: all take one image at a time, obb takes two.

    None of any number (dynamic): there Ultralytics exports wrong boxes of heads of one scale.
    """
    folder = tmp_path_factory.mktemp("exports")
    return {
        task: Path(
            YOLO(shutil.copy(path, folder / f"{task}.pt")).export(
                format="onnx",
                imgsz=SIDE.get(task, 128),
                batch=2 if task == "obb" else 1,
                verbose=False,
            )
        )
        for task, path in FILES.items()
    }


@pytest.fixture
def no_network(monkeypatch) -> list[object]:
    """Every attempt to leave this machine fails at once and is written down."""
    tried: list[object] = []

    def refuse(*where: object, **_: object) -> None:
        tried.append(where)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(subprocess, "check_output", refuse)
    return tried


@pytest.mark.parametrize("task", list(FILES))
def test_an_export_says_what_its_checkpoint_says(exports, task):
    checkpoint, export = (YoloPredictor(path, "m@0", 1) for path in (FILES[task], exports[task]))
    assert (export.task, export.serves) == (checkpoint.task, checkpoint.serves)
    assert (export.classes, export.joints) == (checkpoint.classes, checkpoint.joints)
    images = images_of(task, 5)
    for geometry in sorted(export.serves):
        said, expected = (model.predict(images, geometry) for model in (export, checkpoint))
        np.testing.assert_allclose(said.probs, expected.probs, atol=0.02)
        # A weak region may stand on either side of the floor.
        sure, wanted = said.score > 0.3, expected.score > 0.3
        np.testing.assert_array_equal(said.item[sure], expected.item[wanted])
        np.testing.assert_array_equal(said.label[sure], expected.label[wanted])
        np.testing.assert_allclose(said.score[sure], expected.score[wanted], atol=0.02)
        if geometry in ("box", "point"):
            mine, theirs = said.outline.take(sure), expected.outline.take(wanted)
            np.testing.assert_allclose(mine.values, theirs.values, atol=0.5)


def test_an_export_keeps_to_its_threads(exports):
    model = YoloPredictor(exports["detect"], "m@0", 1)
    session = model.model.predictor.model.backend.session
    assert session.get_session_options().intra_op_num_threads == 1


def test_an_export_that_runs_elsewhere_than_on_the_cpu_keeps_its_session(exports):
    elsewhere = [one for one in onnxruntime.get_available_providers() if not one.startswith("CPU")]
    if not elsewhere:
        pytest.skip("this ONNX Runtime knows the CPU alone")
    opened = open_model(exports["detect"])
    opened.model.predict(images_of("detect", 1)[0], verbose=False, save=False)
    session = onnxruntime.InferenceSession(
        exports["detect"], providers=[elsewhere[0], "CPUExecutionProvider"]
    )
    opened.model.predictor.model.backend.session = session
    use_threads(opened, 1)
    assert opened.model.predictor.model.backend.session is session


class _Code:
    """What a hostile checkpoint holds: a call."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self):
        return (Path.touch, (self._target,))


def broken(kind: str, path: Path) -> Path:
    whole = FILES["detect"].read_bytes()
    if kind == "folder":
        path.mkdir()
    elif kind == "another pickle":
        torch.save({"weights": torch.zeros(3)}, path)
    elif kind == "a model of another library":
        torch.save(torch.nn.Linear(2, 2), path)
    elif kind == "a missing module":
        path.write_bytes(pickle.dumps(1).replace(b"K\x01", b"cno_such_module_here\nThing\n"))
    elif kind == "a script":
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    else:
        path.write_bytes(
            {
                "empty": b"",
                "truncated": whole[: len(whole) // 2],
                "random": np.random.default_rng(0).bytes(5000),
                "text": b"this is no model\n" * 10,
                "zip": b"PK\x03\x04" + bytes(100),
            }[kind]
        )
    return path


BROKEN = [
    *("folder", "another pickle", "a model of another library", "a missing module", "a script"),
    *("empty", "truncated", "random", "text", "zip"),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("suffix", [".pt", ".onnx"])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_one_error(tmp_path, no_network, capfd, kind, suffix):
    path = broken(kind, tmp_path / f"x{suffix}")
    with pytest.raises(ModelError) as refused:
        YoloPredictor(path, "x@0")
    said = str(refused.value)
    assert f"'x{suffix}'" in said
    assert "\n" not in said
    assert str(tmp_path) not in said
    assert len(said) < 600
    assert no_network == []
    assert capfd.readouterr() == ("", "")


def test_a_checkpoints_code_is_not_run(tmp_path):
    touched = tmp_path / "touched"
    torch.save({"model": _Code(touched)}, tmp_path / "x.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps({"model": _Code(touched)}))
    for name in ("x.pt", "old.pt"):
        with pytest.raises(ModelError, match=name):
            YoloPredictor(tmp_path / name, "x@0")
    assert not touched.exists()


def test_a_foreign_export_is_refused():
    if not FOREIGN.exists():
        pytest.skip(f"{FOREIGN} is not on this machine")
    with pytest.raises(ModelError, match="no ONNX export of Ultralytics"):
        YoloPredictor(FOREIGN, "yolox@0")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("names", "{0: 'only one'}", "classes|cannot be run"),
        ("names", "__import__('os')", "cannot be loaded"),
        ("names", "{}", "cannot be|classes"),
        ("task", "semantic", "made for 'semantic'"),
        ("batch", "many", "cannot be loaded"),
        ("imgsz", "[99999999, 3]", "images of .* pixels a side"),
    ],
)
def test_an_export_that_lies_is_one_error(exports, tmp_path, key, value, said):
    graph = onnx.load(exports["detect"])
    for entry in graph.metadata_props:
        if entry.key == key:
            entry.value = value
    onnx.save(graph, tmp_path / "x.onnx")
    with pytest.raises(ModelError, match=said):
        YoloPredictor(tmp_path / "x.onnx", "x@0").predict(images_of("detect", 3), "box")


def test_an_export_of_another_task_than_it_says_is_one_error(exports, tmp_path):
    graph = onnx.load(exports["classify"])
    for entry in graph.metadata_props:
        if entry.key == "task":
            entry.value = "segment"
    onnx.save(graph, tmp_path / "x.onnx")
    with pytest.raises(ModelError, match="cannot be run"):
        YoloPredictor(tmp_path / "x.onnx", "x@0")


def test_a_name_that_ultralytics_changes_is_refused(tmp_path, no_network):
    path = Path(shutil.copy(FILES["detect"], tmp_path / "o'neil.pt"))
    with pytest.raises(ModelError, match="rename it"):
        YoloPredictor(path, "x@0")
    assert no_network == []


@pytest.mark.parametrize(
    ("name", "official"),
    [
        ("yolo11n.pt", True),
        ("yolov8s-pose.pt", True),
        ("mine.pt", False),
        ("../yolo11n.pt", False),
        ("https://example.org/yolo11n.pt", False),
        ("mobileclip_blt.ts", False),
    ],
)
def test_official_names_are_known(name, official):
    assert is_official(name) == official


def test_a_failed_download_is_one_error_and_leaves_nothing(tmp_path, no_network, capfd):
    with pytest.raises(ModelError, match=r"'yolo11n\.pt' cannot be fetched"):
        fetch("yolo11n.pt", tmp_path)
    assert no_network
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_nothing_but_official_names_is_fetched(tmp_path, no_network):
    with pytest.raises(ModelError, match="not one that Ultralytics publishes"):
        fetch("mine.pt", tmp_path)
    assert no_network == []


def test_loading_asks_neither_network_nor_installer(tmp_path):
    """In a process of its own, where Ultralytics is imported for the first time."""
    code = (
        "import socket, sys\n"
        "def refuse(*where, **_): raise SystemExit(f'asked {where}')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "from pathlib import Path\n"
        "from ml_backend.predictors.yolo import YoloPredictor\n"
        "print(YoloPredictor(Path(sys.argv[1]), 'x').task)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(FILES["obb"])], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "obb\n", "")
