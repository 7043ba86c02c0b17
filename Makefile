# One door for every task, locally and in CI. Both demo and test begin by making .venv with the pinned dependencies.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo serve test soak bench fuzz lint fix pictures goldens clean

.venv/run: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch .venv/run

.venv/dev: .venv/run requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	touch .venv/dev

demo: .venv/run
	$(BIN)/piaoma demo

serve: .venv/run
	$(BIN)/piaoma serve

test: .venv/dev
	sh tests/need-chromium.sh
	sh tests/need-java.sh
	$(BIN)/pytest -n 2 --dist loadgroup tests

# The kills of `make test` many times over, for an afternoon: before a release, and after touching how anything is stored.
soak: .venv/dev
	PIAOMA_KILLS=$${PIAOMA_KILLS:-200} PIAOMA_SIGNER_KILLS=$${PIAOMA_SIGNER_KILLS:-40} $(BIN)/pytest -n 2 --dist loadgroup tests/faults

# The usual ways to the same papers, to be compared with; 350 MB, and nothing else needs them.
.venv/bench: .venv/dev requirements-bench.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-bench.lock
	touch .venv/bench

bench: .venv/bench
	$(BIN)/piaoma bench issue
	$(BIN)/piaoma bench pdf
	$(BIN)/piaoma bench pages
	$(BIN)/piaoma bench documents --seconds 30
	$(BIN)/piaoma bench search
	$(BIN)/piaoma bench log
	$(BIN)/piaoma bench accounts

SECONDS_EACH ?= 60
fuzz: .venv/dev
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS_EACH)

lint: .venv/dev
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: .venv/dev
	$(BIN)/ruff check --fix src tests
	$(BIN)/ruff format src tests

pictures: .venv/dev
	sh tests/need-chromium.sh
	$(BIN)/python -m tests.journeys.pictures docs/pictures
	$(BIN)/python -m tests.journeys.help_pictures docs/pictures
	$(BIN)/python -m tests.journeys.guide_pictures

# The pictures of tests/documents/golden, after the drawing changed; look at each.
goldens: .venv/dev
	$(BIN)/python -m tests.documents.goldens

clean:
	rm -rf .venv build dist demo-out
