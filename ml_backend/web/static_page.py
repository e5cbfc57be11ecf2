"""The review page's files, as the build left them: every view's address is the same page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

__all__ = ["FOLDER", "static_page"]

#: Where the page is built to.
FOLDER: Final = Path(__file__).parent / "static"
_FOREVER: Final = "public, max-age=31536000, immutable"
_NOT_BUILT: Final = (
    "<!doctype html><html lang=en><title>Relook</title><p>The review page is not built. From a "
    "checkout, run <code>make page</code>; the wheel has it built in.</p></html>"
)


def static_page(folder: Path = FOLDER) -> APIRouter:
    """Return the routes below ``/page``.

    Args:
        folder: holds ``index.html`` and its files.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/page")
    async def home() -> Response:
        return RedirectResponse("/page/")

    @router.get("/page/{path:path}")
    async def file(path: str) -> Response:
        root = folder.resolve()
        found = _below(root, path)
        if found is not None:
            # The build names files by what they hold, all but the page itself.
            hashed = found.parent.name == "assets"
            return FileResponse(
                found, headers={"Cache-Control": _FOREVER if hashed else "no-cache"}
            )
        index = root / "index.html"
        if "." in path.rsplit("/", maxsplit=1)[-1] or not index.is_file():
            return HTMLResponse(_NOT_BUILT if not index.is_file() else "", status_code=404)
        return FileResponse(index, headers={"Cache-Control": "no-cache"})

    return router


def _below(root: Path, path: str) -> Path | None:
    """Return the file of a path, None where there is none below the folder."""
    try:
        found = (root / path).resolve()
        return found if path and found.is_relative_to(root) and found.is_file() else None
    except (ValueError, OSError):
        # A zero byte, or a name longer than any file's.
        return None
