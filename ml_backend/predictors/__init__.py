"""Models: one file per kind, one small protocol, one registry."""

import os

# Before any module here imports Ultralytics: it looks for the network when it loads, installs
# packages that a file or an image asks for, prints what it does, and unpickles whatever a
# checkpoint holds; asked so, it builds known classes of models alone.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_VERBOSE", "false")
os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "true")
