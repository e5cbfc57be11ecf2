#!/bin/sh
# Runs the Dockerfile's steps in a fresh Debian, as root: docker/prove.sh FOLDER [NAME=VALUE]...
# Wants debootstrap, and dockerfile-parse in .venv. Not part of `make test`: it takes minutes.
set -eu
cd "$(dirname "$0")/.."
exec .venv/bin/python docker/prove.py "$@"
