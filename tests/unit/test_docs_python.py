"""The Python of the documents runs as it stands there, and does what is said of it."""

import re
from pathlib import Path

import numpy as np
import pytest

from ml_backend.predictors import registry
from ml_backend.predictors.registry import ModelRegistry
from ml_backend.scoring import page
from ml_backend.settings import ServiceSettings
from tests.unit.test_scoring import items, units

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks(name):
    return BLOCK.findall((DOCS / name).read_text())


def test_every_block_of_python_is_run_here():
    pages = [DOCS.parent / "README.md", *DOCS.glob("*.md")]
    found = {path.name: len(BLOCK.findall(path.read_text())) for path in pages}
    assert {name: count for name, count in found.items() if count} == {
        "scores.md": 1,
        "contributing.md": 2,
    }


def test_the_scores_are_asked_as_their_page_has_it():
    (code,) = blocks("scores.md")
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 50)
    wrong, spoilt = 7, 30
    probs = np.where(labels[:, None] == [0, 1], 0.95, 0.05).astype(np.float32)
    images = (np.eye(8)[labels] + rng.normal(0, 0.05, (100, 8))).astype(np.float32)
    labels[wrong] = 1 - labels[wrong]
    corner = rng.uniform(0, 100, (40, 2))
    boxes = np.hstack([corner, corner + 30]).astype(np.float32)
    seen = np.arange(40) % 3
    given = np.where(np.arange(40) == spoilt, (seen + 1) % 3, seen)
    known = {
        **{"labels": labels, "probs": probs, "images": images, "tasks": np.arange(40)},
        **{"task": np.arange(40), "label": given, "box": boxes},
        **{"task_p": np.arange(40), "label_p": seen, "box_p": boxes},
        "confidence": np.full(40, 0.9),
    }
    # By itself the first score is overwritten by the second; both are looked at.
    first, second = code.split("\nscore = classification.mistakenness(labels, probs, ")
    alone = dict(known)
    exec(first, alone)
    exec(code, known)
    assert "embeddings" in second
    for score in (alone["score"], known["score"]):
        assert (score.shape, score.dtype) == ((100,), np.float32)
        assert int(score.argmax()) == wrong
    assert known["worst_first"][0] == spoilt


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a block of contributing.md as the one file it is said to be; gives its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(number, name):
        (tmp_path / f"{name}.py").write_text(blocks("contributing.md")[number])
        return name

    return write


def test_a_predictor_is_one_file_and_one_line(written, tmp_path, monkeypatch):
    monkeypatch.setitem(registry.SCHEMES, "yours", (written(0, "predictor_of_yours"), "Yours"))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "file").write_bytes(b"weights")
    models = ModelRegistry(ServiceSettings(model_dir=tmp_path / "models"))
    model = models.get("yours:file")
    assert model.version == models.version("yours:file")
    said = model.predict([np.zeros((30, 40, 3), dtype=np.uint8)] * 2, "box")
    assert said.size.tolist() == [[40, 30]] * 2
    assert said.outline.table(5).tolist() == [[0, 0, 40, 30, 0]] * 2
    assert [model.classes[label] for label in said.label] == ["cat", "cat"]


def test_a_score_is_one_file_and_one_line(written, monkeypatch):
    module = __import__(written(1, "score_of_yours"))
    monkeypatch.setitem(page._SCORERS, "box", module)
    box = (50, 40, 100, 80, 0)
    model = [(0, 0, 0.9, box), (1, 0, 0.3, box), (2, 0, 0.6, box)]
    found, table, labels = units("RectangleLabels", [(n, 0, box) for n in range(3)], model, count=3)
    learnt = page.fit_calibration(table, labels, None)
    for calibration, worst in ((learnt, 0.3), (None, 0.2)):
        scored = page._score(found, items(3), calibration)
        np.testing.assert_allclose(scored.priority, [0, worst, 0], atol=1e-6)
        assert len(scored.findings) == len(scored.reason) == len(scored.fix) == 0
