import hashlib
import os

import pytest

from ml_backend.errors import ModelError
from ml_backend.predictors.files import digest, locate, models, version


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "models"
    (folder / "vit" / "1_Pooling").mkdir(parents=True)
    (folder / "a.pt").write_bytes(b"weights")
    (folder / "vit" / "config.json").write_text("{}")
    (folder / "vit" / "model.safetensors").write_bytes(b"more")
    (folder / "vit" / "1_Pooling" / "config.json").write_text("{}")
    (folder / "notes.txt").write_text("no model")
    (tmp_path / "secret.pt").write_bytes(b"secret")
    return folder


def test_models_are_found_by_name(root):
    assert locate(root, "a.pt") == (root / "a.pt").resolve()
    assert locate(root, "vit") == (root / "vit").resolve()
    assert models(root) == ["a.pt", "vit"]


@pytest.mark.parametrize(
    "name",
    [
        "../secret.pt",
        "vit/../../secret.pt",
        "/etc/passwd",
        "out.pt",
        "gone.pt",
        ".",
        "vit/..",
        "a\0.pt",
        "x" * 5000,
        "\ud800.pt",
        "circle",
        "pipe",
    ],
)
def test_nothing_else_is_found(root, name):
    (root / "out.pt").symlink_to(root.parent / "secret.pt")
    (root / "circle").symlink_to(root / "circle")
    os.mkfifo(root / "pipe")
    with pytest.raises(ModelError, match=r"is not in the model folder; there are: a\.pt"):
        locate(root, name)


def test_no_name_says_where_to_set_one(root):
    with pytest.raises(ModelError, match="RELOOK_MODEL"):
        locate(root, "")


@pytest.mark.parametrize("target", ["../../secret.pt", "../../"])
def test_a_folder_holds_no_link_that_leads_out(root, target):
    (root / "vit" / "link").symlink_to(target)
    with pytest.raises(ModelError, match="holds the link 'link'"):
        locate(root, "vit")


def test_a_link_to_a_file_inside_is_followed(root):
    (root / "vit" / "pytorch_model.bin").symlink_to(root / "a.pt")
    (root / "b.pt").symlink_to(root / "a.pt")
    assert locate(root, "vit").is_dir()
    assert locate(root, "b.pt") == (root / "a.pt").resolve()


def test_a_file_is_named_by_its_sha256(root):
    hexadecimal = hashlib.sha256(b"weights").hexdigest()
    assert digest(root / "a.pt") == hexadecimal
    assert version("a", root / "a.pt") == f"a@{hexadecimal[:8]}"


def test_a_folder_is_named_by_what_is_in_it(root):
    before = digest(root / "vit")
    (root / "vit" / "README.md").write_text("read me")
    (root / "vit" / ".gitattributes").write_text("hidden")
    (root / "vit").rename(root / "moved")
    assert digest(root / "moved") == before
    inner = root / "moved" / "1_Pooling" / "config.json"
    inner.write_text('{"changed": 1}')
    changed = digest(root / "moved")
    inner.rename(inner.with_name("other.json"))
    assert len({before, changed, digest(root / "moved")}) == 3


def test_what_cannot_be_read_is_said(root):
    with pytest.raises(ModelError, match=r"'gone\.pt' cannot be read \(No such file"):
        digest(root / "gone.pt")
