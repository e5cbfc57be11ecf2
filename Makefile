# One short command per habit. `make demo` and `make test` need nothing but Python 3.11+.
PYTHON ?= python3
ARGS ?=
PYTEST ?=
VENV := .venv
LS_VENV := .venv-labelstudio

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test unit lint format clean
.DELETE_ON_ERROR:

# Label Studio's pins are older than ours (redis, rq, pydantic), so it never shares our environment.
$(LS_VENV)/.ready: constraints-labelstudio.txt
	@echo "Installing Label Studio into $(LS_VENV) (about a minute)" >&2
	@$(PYTHON) -m venv $(LS_VENV)
	@$(LS_VENV)/bin/pip install -c constraints-labelstudio.txt label-studio >&2
	@touch $@

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "Installing Relook and PyTorch into $(VENV) (two to three minutes, 7 GB)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install -c constraints.txt -e '.[dev]' >&2
	@touch $@

demo: $(VENV)/.ready $(LS_VENV)/.ready
	@exec $(VENV)/bin/relook demo $(ARGS)

test: $(VENV)/.ready $(LS_VENV)/.ready
	@$(MAKE) --no-print-directory lint
	@$(VENV)/bin/python -m pytest $(PYTEST)

unit: $(VENV)/.ready
	@$(VENV)/bin/python -m pytest tests/unit tests/analysis $(PYTEST)

lint: $(VENV)/.ready
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(VENV)/.ready
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

clean:
	rm -rf .relook $(VENV) $(LS_VENV) .mypy_cache .ruff_cache .pytest_cache
