# Entry points for developers. The scripts are in ci/; `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help up down test e2e check format models charts wheel torch bench bench-statistics bench-invariants lock clean

help:  ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

up:  ## set up, train the examples, run the platform here until Ctrl-C (ARGS="--port 9090")
	@ci/up $(ARGS)

down:  ## stop the platform that runs here
	@.venv/bin/fairlead down

test:  ## set up, check and run all tests but e2e (ARGS="tests/unit/store -x": only pytest, with these arguments)
	@ci/test $(ARGS)

e2e:  ## end-to-end tests on a real Kubernetes cluster, started for them and removed (or that of KUBECONFIG)
	@ci/e2e $(ARGS)

check:  ## format, lint, types, import directions, spelling
	@ci/setup dev && ci/check

format:  ## write the code the way `make check` wants it
	@ci/setup dev && .venv/bin/ruff format --quiet . && .venv/bin/ruff check --fix --quiet . && .venv/bin/ruff format .

models:  ## train the example models into build/models
	@ci/setup local && ci/models

charts:  ## write what is generated in charts/: schemas, tables of values, the gateway's bootstrap
	@ci/setup dev && .venv/bin/python ci/charts

wheel:  ## build dist/fairlead-*.whl, which installs everything that one machine needs
	@ci/setup dev && .venv/bin/python -m hatchling build --target wheel

bench:  ## every proof at full size; results go to tests/benchmarks/results (BENCH="hot_path rollback")
	@ci/bench $(BENCH)

bench-invariants:  ## a hundred thousand random steps of the engine, dying at any write
	@ci/bench invariants

bench-statistics:  ## simulated rollouts: false alarms and time to roll back, beside other tools' rules; with plots
	@ci/bench rollout_statistics
	@PYTHONPATH=tests .venv/bin/python tests/benchmarks/rollout_statistics_plots.py

torch:  ## install PyTorch (5 GB, in an environment of its own) and run the tests of its formats
	@ci/setup dev && ci/environment torch > /dev/null && FAIRLEAD_TORCH=1 .venv/bin/python -m pytest --timeout 900 tests/integration/formats

lock:  ## write requirements/*.txt anew from pyproject.toml
	@ci/setup dev && ci/lock

clean:  ## remove what was built here; .venv stays
	@rm -rf build .fairlead .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
