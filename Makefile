# `make help` lists what there is. Everything runs in .venv, which envs/setup.sh makes and keeps up to date.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Kernels come from .venv also where it belongs to somebody else and a user-level one exists
export JUPYTER_PREFER_ENV_PATH := 1

TORCH ?=
CORES ?= all
ARGS ?=
CONFIG ?=

CONFIGFILE = $(if $(CONFIG),--configfile $(CONFIG))

WORKERS = $(if $(filter all,$(CORES)),auto,$(CORES))
PYTEST = OMP_NUM_THREADS=1 python -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal
RULES = $(wildcard Snakefile workflow/Snakefile workflow/rules/*.smk)

test test-slow check check-all tiny-study: export HF_HUB_OFFLINE := 1

.PHONY: help study test check test-slow check-all check-pages tiny-study bench setup lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  TORCH=cu130   torch for CUDA 13.0; a new .venv gets TORCH=cpu, an existing one keeps its own"
	@echo "  CORES=4       cores to use; all of them otherwise"
	@echo "  CONFIG=...    config files of the study, laid over config/study.yaml: CONFIG=config/laptop.yaml"
	@echo "  ARGS='...'    passed on: to snakemake by study and tiny-study, to pytest by test, to uv by lock"

study: setup ## set up, then run the whole study, on the bundled models or as CONFIG says
	@snakemake all --cores $(CORES) $(CONFIGFILE) $(ARGS)
	@if [ -e reports/index.html ]; then echo "Report: $(CURDIR)/reports/index.html"; fi

test: setup ## set up, then run all tests but the slow ones
	@$(PYTEST) -m "not slow" $(ARGS)

check: setup ## formats, lint, types, the package's tests on one model family, a dry run; three minutes on two cores, no network
	@ruff format --check .
	@ruff check .
	@snakefmt --check $(RULES)
	@pyright & typed=$$!; snakemake -n --quiet rules --configfile config/tiny.yaml && wait $$typed
	@$(PYTEST) -q -m "not slow and not gpu" -k "not gemma2 and not qwen and not mistral and not phi3" tests --ignore=tests/workflow --ignore=tests/report

test-slow: setup ## the slow tests: runs of the tiny study that are killed, resumed, edited; every rule on every family
	@$(PYTEST) -m slow $(ARGS)

check-all: check test test-slow ## check, all tests, the slow ones too, and the tiny study from end to end
	@$(MAKE) tiny-study

check-pages: setup ## open the pages of the finished study in a headless Chromium: errors, images, widths, links
	@STEERING_STUDY_PAGES=reports python -m pytest -q tests/report/test_pages.py $(ARGS)

tiny-study: setup ## the tiny study from end to end, in a temporary copy of the tracked files
	@copy=$$(mktemp -d) && echo "Tiny study in $$copy" && \
	git ls-files -z | while IFS= read -r -d '' file; do \
	  if [ -e "$$file" ] || [ -L "$$file" ]; then printf '%s\0' "$$file"; fi; \
	done | tar --null -T - -cf - | tar -xf - -C "$$copy" && \
	( cd "$$copy" && export PYTHONPATH="$$copy/workflow" && \
	  snakemake all --cores 2 --configfile config/tiny.yaml $(ARGS) && \
	  { [ -s reports/index.html ] || { echo "reports/index.html is missing"; exit 1; }; } && \
	  STEERING_STUDY_PAGES=reports python -m pytest -q tests/report/test_pages.py && \
	  snakemake all --configfile config/tiny.yaml --quiet --report report.html ) && \
	rm -rf "$$copy" && echo "The tiny study runs from end to end." || \
	{ echo "The tiny study failed; its files are in $$copy" >&2; exit 1; }

HOOKED := .venv/transformer-lens-3

bench: setup $(HOOKED) ## measure the speed claims; writes results/benchmarks.json
	@HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 python benchmarks/run.py --hooked $(HOOKED) $(ARGS)

# HookedTransformer, which EAP-IG's reference code runs on, left TransformerLens with 4.0; only one benchmark sees this one
$(HOOKED): | setup
	@python -m pip install --quiet --no-deps --target $@.new transformer-lens==3.9.0 better-abc==0.0.3 fancy-einsum==0.0.3 && mv $@.new $@

setup: ## .venv with everything in it; instant when nothing changed
	@TORCH='$(TORCH)' bash envs/setup.sh

lock: ## pin anew after a change of envs/requirements.in; ARGS=--upgrade raises every pin
	@command -v uv >/dev/null || { $(MAKE) setup && python -m pip install --quiet uv; }
	@new=$$(mktemp) && cp envs/requirements.txt "$$new" && \
	uv pip compile envs/requirements.in -o "$$new" --universal --python-version 3.11 --no-emit-package torch \
	  --no-header --annotation-style line --quiet $(ARGS) && \
	{ echo "# Every package the study and its tests need; \`make lock\` makes this file from requirements.in."; \
	  echo "# Only torch and what its CUDA builds bring along are missing: setup.sh chooses the build."; \
	  grep -E '^[a-z0-9]' "$$new" | grep -vE '^(nvidia-|cuda-|triton|uv=|pip=)'; } >envs/requirements.txt && \
	rm "$$new"
	@$(MAKE) envs/environment.yaml

# The pins stand in the file itself: Snakemake copies it elsewhere, where `-r requirements.txt` finds nothing
envs/environment.yaml: envs/requirements.in envs/requirements.txt
	@torch=$$(grep -o '^torch==[^ ;]*' envs/requirements.in) && \
	{ echo "# The pins of requirements.txt for conda; \`make lock\` makes this file."; \
	  echo "#   conda env create -f envs/environment.yaml && conda activate steering-study && pip install --no-deps -e ."; \
	  echo "name: steering-study"; \
	  echo "channels: [conda-forge, nodefaults]"; \
	  echo "dependencies:"; \
	  echo "  - python >=3.11,<3.14"; \
	  echo "  - pip"; \
	  echo "  - pip:"; \
	  echo "      - --extra-index-url https://download.pytorch.org/whl/cpu"; \
	  echo "      - \"$$torch+cpu ; sys_platform == 'linux'\""; \
	  echo "      - \"$$torch ; sys_platform != 'linux'\""; \
	  sed -nE '/^[a-z0-9]/{s/ +# .*//;s/.*/      - "&"/;p;}' envs/requirements.txt; } >$@

clean: ## remove results, reports and logs
	@rm -rf results reports logs
