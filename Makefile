# One short command per habit. `make demo` and `make test` need nothing but Python 3.11+.
PYTHON ?= python3
ARGS ?=
PYTEST ?=
VENV := .venv
LS_VENV := .venv-labelstudio
PEERS_VENV := .venv-peers
ML_VENV := .venv-ml
MOTO_VENV := .venv-moto
AUDIT_VENV := .venv-audit
PAGE := ml_backend/web/static
PAGE_SOURCES := $(shell git ls-files ml_backend/web/page 2>/dev/null)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test page unit lint format settings docs sbom audit bench serving beside soak fuzz clean
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
	@$(VENV)/bin/pip install -c constraints.txt -e '.[dev,docs]' >&2
	@touch $@

# What label-studio-ml pins is years old. Behind its packages it sees ours (and the redis and rq that
# it imports without asking for them), so that it serves a model, and Relook runs one of its classes.
# Under gunicorn, as its users run it, it is measured.
$(ML_VENV)/.ready: constraints-ml.txt $(VENV)/.ready
	@echo "Installing label-studio-ml into $(ML_VENV) (a few seconds)" >&2
	@$(PYTHON) -m venv $(ML_VENV)
	@$(ML_VENV)/bin/pip install -c constraints-ml.txt label-studio-ml gunicorn >&2
	@$(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> $$($(ML_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz-relook.pth
	@touch $@

# Speaks S3's protocol, for the store's tests. What it pins is older than what we do.
$(MOTO_VENV)/.ready: constraints-moto.txt
	@echo "Installing moto into $(MOTO_VENV) (about half a minute)" >&2
	@$(PYTHON) -m venv $(MOTO_VENV)
	@$(MOTO_VENV)/bin/pip install -c constraints-moto.txt 'moto[s3,server]' >&2
	@touch $@

# The review page. Node.js comes from the package index too, as a wheel.
$(PAGE)/index.html: $(VENV)/.ready $(PAGE_SOURCES)
	@echo "Building the review page into $(PAGE) (about half a minute)" >&2
	@$(VENV)/bin/python hatch_build.py

page: $(PAGE)/index.html

demo: $(VENV)/.ready $(LS_VENV)/.ready page
	@exec $(VENV)/bin/relook demo $(ARGS)

# Three files at once, each third with a Label Studio of its own: most of a test is waiting. Threads
# that wait for each other sleep, since others have work for the core.
test: $(VENV)/.ready $(LS_VENV)/.ready $(ML_VENV)/.ready $(MOTO_VENV)/.ready page
	@$(MAKE) --no-print-directory lint
	@OMP_WAIT_POLICY=PASSIVE $(VENV)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST)

unit: $(VENV)/.ready $(MOTO_VENV)/.ready
	@$(VENV)/bin/python -m pytest tests/unit tests/analysis $(PYTEST)

lint: $(VENV)/.ready page
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/python hatch_build.py check

format: $(VENV)/.ready
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/python hatch_build.py format

settings: $(VENV)/.ready
	@$(VENV)/bin/python -m ml_backend.commands.settings_page > docs/settings.md

docs: $(VENV)/.ready
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	@echo build/site/index.html

sbom: $(VENV)/.ready $(AUDIT_VENV)/.ready
	@mkdir -p dist
	@$(AUDIT_VENV)/bin/cyclonedx-py environment $(VENV) --pyproject pyproject.toml --output-file dist/relook.cdx.json
	@echo dist/relook.cdx.json

# Apart from what they look at: what cyclonedx-bom brings would cost each of our processes two more
# seconds to start.
$(AUDIT_VENV)/.ready:
	@echo "Installing pip-audit and cyclonedx-bom into $(AUDIT_VENV) (a few seconds)" >&2
	@$(PYTHON) -m venv $(AUDIT_VENV)
	@$(AUDIT_VENV)/bin/pip install pip-audit 'cyclonedx-bom>=7' >&2
	@touch $@

# Strict: what could be looked up nowhere is not taken to be well.
audit: $(AUDIT_VENV)/.ready
	@$(AUDIT_VENV)/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict $(ARGS)

# The peers' pins are theirs; what is measured beside them needs no more of Relook than analysis/.
$(PEERS_VENV)/.ready: benchmarks/requirements.txt
	@echo "Installing cleanlab and FiftyOne into $(PEERS_VENV) (about two minutes)" >&2
	@$(PYTHON) -m venv $(PEERS_VENV)
	@$(PEERS_VENV)/bin/pip install -r benchmarks/requirements.txt >&2
	@touch $@

bench: $(PEERS_VENV)/.ready
	@$(PEERS_VENV)/bin/python -m benchmarks.quality
	@$(PEERS_VENV)/bin/python -m benchmarks.speed $(ARGS)
	@$(PEERS_VENV)/bin/python -m benchmarks.embeddings $(ARGS)

serving: $(VENV)/.ready $(LS_VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.serving $(ARGS)

beside: $(VENV)/.ready $(LS_VENV)/.ready $(ML_VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.beside $(ARGS)

soak: $(VENV)/.ready $(LS_VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.soak $(ARGS)

# Bad input in bulk, other each time: ARGS='--count 1000000'.
fuzz: $(VENV)/.ready
	@$(VENV)/bin/python -m tests.fuzzing $(ARGS)

clean:
	rm -rf $(PAGE) ml_backend/web/page/node_modules .relook $(VENV) $(LS_VENV) $(ML_VENV) $(MOTO_VENV) $(AUDIT_VENV) $(PEERS_VENV) .mypy_cache .ruff_cache .pytest_cache
