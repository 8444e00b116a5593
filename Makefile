# curation. `make` alone lists what there is. Everything goes into .venv, build, dist and out.
PYTHON ?= python3
RECIPE ?= out/demo/recipe.toml
OUT ?= out/run
MASTER ?=
ARGS ?=
SECONDS ?= 60

SHELL := /bin/sh
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
EXTRAS_curate := spark,fast
EXTRAS_train := spark,train,fast,tokenizers
EXTRAS_all := spark,train,fast,notebook,dev
EXTRAS_docs := docs
EXTRAS_test := spark,train,fast,notebook,dev,test-all
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadgroup
FAST := not slow and not cluster and not browser
SOURCES := $(shell find curation -type f ! -name '*.py[co]' ! -name '*.nb[ci]')
ENVIRONMENT := build/environment
# Modules are compiled when they are first imported, and that is kept whatever the shell says: without, each process, and a run has
# many, would compile Numba and all else anew for seconds.
export PYTHONDONTWRITEBYTECODE :=
# A JVM that lives for a minute of small queries is done sooner without its second compiler.
FEW_QUERIES := JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help curate train test test-all quick compiled lint docs package bench bench-scale clean

help: ## this list
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-12s %s\n", $$1, $$2}'
	@echo "PYTHON=python3.12 make ... chooses the interpreter; ARGS='--set classify.alpha=3' goes to the run."

ifeq ($(MASTER),)
curate: .venv/.curate $(filter out/demo/recipe.toml,$(RECIPE)) ## the whole line on Spark: the demo corpus, or RECIPE=my.toml OUT=DIR [MASTER=spark://host:7077]
	@$(if $(filter out/demo/recipe.toml,$(RECIPE)),$(FEW_QUERIES)) $(BIN)/curation run $(RECIPE) --out $(OUT) --engine spark $(if $(filter out/demo/recipe.toml,$(RECIPE)),--update) $(ARGS)
	@$(BIN)/curation report $(OUT)
else
curate: .venv/.curate $(filter out/demo/recipe.toml,$(RECIPE)) dist/environment.tar.gz
	@JAVA_HOME="$$($(BIN)/python -c 'from curation.engine.java import java_home; print(java_home(".venv"))')" \
	    PYSPARK_DRIVER_PYTHON=$(BIN)/python PYSPARK_PYTHON=./environment/bin/python \
	    $(BIN)/spark-submit --master $(MASTER) --archives dist/environment.tar.gz#environment \
	    jobs/curate.py $(RECIPE) --out $(OUT) $(ARGS)
	@$(BIN)/curation report $(OUT)
endif

train: .venv/.train ## a very small GPT-3 for SECONDS=60: its words and its loss; on the demo's text, or on the shards in OUT=DIR
	@test -e $(OUT)/shards/shards.json || $(MAKE) --no-print-directory curate
ifeq ($(OUT),out/run)
	@$(MAKE) --no-print-directory out/words/mixed/shards/shards.json
	$(BIN)/curation train out/words/mixed --size minute --out out/words/model --seconds $(SECONDS) --validate-every 500 --checkpoint-every 500
else
	$(BIN)/curation train $(OUT) --size minute --out $(OUT)/model --seconds $(SECONDS)
endif

# What the demo's run keeps, as 4,096 tokens that are learned from it, and read over and over: in a minute a model sees most of
# GPT-2's 50,257 tokens a few times only, and a corpus this small is at its end in seconds.
out/words/mixed/shards/shards.json: out/run/shards/shards.json
	$(BIN)/curation tune vocabulary out/run --size 4096 --out out/words/vocabulary.json
	$(BIN)/curation tokenize out/run --encoding out/words/vocabulary.json --out out/words/tokens --update
	@echo "The text is repeated below so that no run comes to its end; a minute reads it a few times."
	$(BIN)/curation mix text=out/words/tokens --tokens 20000000 --max-epochs 10000 --validation 0.05 --shards 4 \
	    --out out/words/mixed --update

test: .venv/.all compiled ## set-up, and every test but the long ones
	@$(PYTEST) --hypothesis-profile quick -m '$(FAST)' $(ARGS)

test-all: .venv/.test compiled ## set-up, and every test: also the long ones and those that start a cluster
	@$(PYTEST) $(ARGS)

quick: .venv/.all compiled ## the kernels, the recipe and the stages on toy data, without Spark
	@$(PYTEST) --hypothesis-profile quick -m '$(FAST) and not spark' tests/kernels tests/recipe tests/stages $(ARGS)

compiled:
	@echo "Compiling the kernels, the first time only ..." && $(BIN)/python -m curation.pipeline.compile

lint: .venv/.all ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: .venv/.docs ## the documentation site in build/site, links checked; its reference is made from the code
	@$(BIN)/python scripts/make_reference.py
	@$(BIN)/zensical build --strict --clean
	@echo "The site: build/site/index.html"

package: dist/environment.tar.gz ## what a cluster needs: a wheel and a packed environment, in dist/
	@ls -sh dist

bench: .venv/.all ## each stage beside a peer and the least work; ARGS='--help' names your own inputs
	@$(BIN)/python perf/bench.py $(ARGS)

bench-scale: .venv/.all ## what the driver costs for each shard, and a document in each stage
	@$(BIN)/python perf/scale.py $(ARGS)
	@$(BIN)/python perf/document_scale.py

clean: ## remove all that these commands made, the environment and out/ too
	rm -rf .venv build dist out curation.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the environment -------------------------------------------------------------------------------------------------

.venv/.made:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Python 3.11 or newer is needed, and $(PYTHON) is %d.%d: name another with make PYTHON=..." % v[:2])'
	@$(PYTHON) -m venv .venv
	@$(PIP) install 'pip>=24'
	@touch $@

.venv/.%: pyproject.toml constraints.txt | .venv/.made
	@echo "Installing $(EXTRAS_$*) into .venv; this takes a minute or two ..."
	@$(PIP) install --no-compile -c constraints.txt -e '.[$(EXTRAS_$*)]'
	@touch $@

out/demo/recipe.toml: $(filter curation/demo/% curation/recipes/demo.toml,$(SOURCES)) | .venv/.curate
	@$(BIN)/python -m curation.demo out/demo
	@touch $@

# ---- the package -----------------------------------------------------------------------------------------------------
# The environment is a folder of packages and a `bin/python` that runs the machine's own Python of the same version with them:
# it may be unpacked anywhere. Spark's own copy of pyspark is on each machine already, and comes first.

build/wheel: $(SOURCES) pyproject.toml README.md LICENSE | .venv/.made
	@rm -rf build/lib build/bdist.* dist/*.whl
	@$(PIP) wheel --no-deps -w dist .
	@touch $@

$(ENVIRONMENT)/.packages: pyproject.toml constraints.txt | build/wheel
	@echo "Packing the environment; this takes a minute or two ..."
	@rm -rf $(ENVIRONMENT)
	@$(PIP) install --target $(ENVIRONMENT)/lib -c constraints.txt dist/curation-*.whl pandas 'gigatoken>=0.10,<0.11' 'obstore>=0.9,<0.13'
	@touch $@

dist/environment.tar.gz: build/wheel $(ENVIRONMENT)/.packages
	@$(PIP) install --target $(ENVIRONMENT)/lib --upgrade --no-deps dist/curation-*.whl
	@mkdir -p $(ENVIRONMENT)/bin
	@$(BIN)/python -c 'import sys; print("#!/bin/sh\nhome=$$(CDPATH= cd -- \"$$(dirname -- \"$$0\")/..\" && pwd)\nexport PYTHONPATH=\"$${PYTHONPATH:+$$PYTHONPATH:}$$home/lib\"\nexec \"$${CURATION_PYTHON:-python%d.%d}\" \"$$@\"" % sys.version_info[:2])' > $(ENVIRONMENT)/bin/python
	@chmod +x $(ENVIRONMENT)/bin/python
	@tar -C $(ENVIRONMENT) -cf - bin lib | gzip -1 > $@
