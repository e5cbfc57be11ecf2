"""Embedders by name; each library is imported when the first of its models is."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ml_backend.embedders.base import Embedder
from ml_backend.errors import ModelError
from ml_backend.predictors import files, hub
from ml_backend.predictors.base import Predictor

if TYPE_CHECKING:
    # PyTorch takes seconds, and names are read where no model runs.
    from ml_backend.embedders.shared import SharedFeatures

__all__ = ["KINDS", "check_name", "make_embedder", "shared_features", "sharing"]

KINDS: Final = ("timm", "transformers", "sentence-transformers")


def make_embedder(
    name: str, folder: Path, *, downloads: bool = False, threads: int = 0
) -> Embedder:
    """Load an embedder by its name.

    Args:
        name: ``timm:``, ``transformers:`` or ``sentence-transformers:`` and a folder in the model
            folder, or, where downloads are allowed, the model's official name; or an ``.onnx``
            file in the model folder.
        folder: the model folder.
        downloads: whether the machine's owner lets models be downloaded.
        threads: CPU threads of the model; 0 leaves it to the library, one per core.

    Raises:
        ModelError: when the name means nothing, or the model is not there or cannot be loaded.
    """
    kind, _, inner = name.partition(":")
    if kind not in KINDS:
        path = _file(name, folder)
        from ml_backend.embedders import onnx_models  # noqa: PLC0415

        return onnx_models.load(path, files.version(name, path), threads)
    _limit_threads(threads)
    if kind == "timm":
        from ml_backend.embedders import timm_models  # noqa: PLC0415

        return timm_models.load(inner, folder, downloads=downloads)
    if kind == "transformers":
        from ml_backend.embedders import transformers_models  # noqa: PLC0415

        return transformers_models.load(inner, folder, downloads=downloads)
    from ml_backend.embedders import sentence_models  # noqa: PLC0415

    return sentence_models.load(inner, folder, downloads=downloads)


def check_name(name: str, folder: Path, reads: Collection[str], *, downloads: bool) -> None:
    """See to it that an embedder can be meant by a name; nothing is loaded or downloaded.

    Args:
        name: as ``make_embedder`` takes it.
        folder: the model folder.
        reads: what the project's tags label: "image", "text".
        downloads: whether the machine's owner lets models be downloaded.

    Raises:
        ModelError: when it is not there, or reads nothing of what the tags label.
    """
    kind, _, inner = name.partition(":")
    if kind not in KINDS:
        _file(name, folder)
    elif inner and downloads and hub.is_name(inner):
        pass  # whether it is offered, the run finds out
    else:
        files.locate(folder, inner)
    what = "text" if kind == "sentence-transformers" else "image"
    if what not in reads:
        raise ModelError(
            f"embedder {name[:120]!r} reads {what}s, and no tag of the labelling config labels any;"
            " name one that reads what they label, or none"
        )


def _file(name: str, folder: Path) -> Path:
    path = files.locate(folder, name)
    if path.suffix != ".onnx":
        raise ModelError(
            f"embedder {name[:120]!r} is of no known kind: name an .onnx file, or put "
            f"{', '.join(f'{known}:' for known in KINDS)} before a folder's name"
        )
    return path


def shared_features(predictor: Predictor) -> SharedFeatures | None:
    """Return a predictor's own features as an embedder, or None where it has none to share."""
    from ml_backend.embedders.shared import SharedFeatures, has_layers  # noqa: PLC0415

    return SharedFeatures(predictor) if has_layers(predictor) else None


def sharing(embedder: Embedder, predictor: Predictor) -> SharedFeatures | None:
    """Return an embedder as a predictor's own features, or None where it is something else."""
    from ml_backend.embedders.shared import SharedFeatures  # noqa: PLC0415

    shared = embedder if isinstance(embedder, SharedFeatures) else None
    return shared if shared is not None and shared.of(predictor) else None


def _limit_threads(threads: int) -> None:
    if threads:
        import torch  # noqa: PLC0415

        torch.set_num_threads(threads)
