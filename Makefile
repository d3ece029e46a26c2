# Every chore of the project. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export CARGO_TERM_COLOR ?= auto
# Tests and the demo find Envoy, Helm, Pebble and kubeseal here.
export PATH := $(CURDIR)/.tools/bin:$(PATH)

PORTOLAN = $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/release/portolan

.PHONY: help setup demo test lint bench bench-edge bench-render faults fuzz fuzz-short mutants bad-input differential schema-diff gitops-diff golden-accept release rig rig-test conformance

help: ## list the chores
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

setup: ## pack Kubernetes' schemas and fetch the outside programs (Envoy, Helm, Pebble, kubeseal, a registry, dig) into .tools
	@scripts/setup test

demo: ## build, and bring up examples/platform dev-01 on loopback; Ctrl-C ends it
	@scripts/setup demo
	cargo build --release --locked --package portolan
	@exec scripts/demo "$(PORTOLAN)"

test: ## set up, run every test, and name the suites that were skipped
	@scripts/setup test
	@scripts/test

lint: ## formatting and clippy, warnings are errors
	@scripts/setup schemas
	cargo fmt --all -- --check
	cargo fmt --manifest-path fuzz/Cargo.toml -- --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

bench: ## run the benchmarks
	@scripts/setup schemas
	cargo bench --workspace --locked

# Where `make bench-edge` writes its table.
RESULTS_OF_EDGE ?= $(CURDIR)/docs/results/edge.md
bench-edge: ## from a changed file to the answer: [PORTOLAN_BENCH_HOSTS='100 1000'] [PORTOLAN_BENCH_OLD=/older/portolan]; more in crates/app/benches/edge
	@scripts/setup demo
	PORTOLAN_BENCH_RESULTS="$(RESULTS_OF_EDGE)" PORTOLAN_BENCH_HOSTS="$${PORTOLAN_BENCH_HOSTS:-100 1000 5000 50000}" cargo bench --locked --package portolan --bench edge

# Where `make bench-render` writes its table, and the build that it measures (`dev` is there sooner, and not what is shipped).
RESULTS_OF_RENDER ?= $(CURDIR)/docs/results/render.md
PROFILE_OF_RENDER ?= bench
bench-render: ## what reading 1,500 documents costs in each shape: [PROFILE_OF_RENDER=dev] [PORTOLAN_BENCH_BINARY=/a/portolan]
	@scripts/setup demo
	PORTOLAN_BENCH_RESULTS="$(RESULTS_OF_RENDER)" cargo bench --locked --profile $(PROFILE_OF_RENDER) --package portolan-effects --bench render

# Where `make faults` writes its table, and which tests are part of it.
RESULTS_OF_FAULTS ?= $(CURDIR)/docs/results/faults.md
FAULTS = restarts:: replaced:: taken:: descriptors:: writing:: slow:: state:: damaged breaker an_envoy_that_does_not_work
# `dev` where the machine has no time to optimise.
FAULTS_PROFILE ?= bench
faults: ## bad days with real parts: [PORTOLAN_FAULTS_HOSTS='10 200'] [PORTOLAN_FAULTS_KILLS=20] [FAULTS_PROFILE=dev]; more in crates/app/benches/faults
	@scripts/setup test
	cargo test --locked --package portolan --test e2e --no-run
	cargo test --locked --package portolan --test e2e -- $(FAULTS) | tee target/faults.txt || echo "a test failed: its row says so"
	PORTOLAN_FAULTS_HOSTS="$${PORTOLAN_FAULTS_HOSTS:-10 200 1000}" PORTOLAN_FAULTS_KILLS="$${PORTOLAN_FAULTS_KILLS:-200}" PORTOLAN_FAULTS_TIMES="$${PORTOLAN_FAULTS_TIMES:-40}" PORTOLAN_FAULTS_TESTS="$(CURDIR)/target/faults.txt" PORTOLAN_BENCH_RESULTS="$(RESULTS_OF_FAULTS)" cargo bench --locked --profile $(FAULTS_PROFILE) --package portolan --bench faults

# Cases of each property; the tests of `make test` run 256.
CASES ?= 20000
# Fuzz targets, all if none is named.
TARGETS ?=
fuzz: ## fuzz targets for FUZZ_SECONDS each (60), and the property tests with many more cases: [TARGETS='yaml cel'] [CASES=20000]
	@scripts/setup fuzz
	@scripts/fuzz $(TARGETS)
	PROPTEST_CASES=$(CASES) cargo test --locked -p portolan-core --test any_input
	PROPTEST_CASES=$(CASES) cargo test --locked -p portolan-core --lib dns::tests::properties
	PROPTEST_CASES=$(CASES) cargo test --locked -p portolan-effects --lib dns::embedded::tests::bytes

fuzz-short: ## the fuzz targets alone, one a processor, FUZZ_RUNS executions each (20000) from the same seed, or FUZZ_SECONDS (60)
	@scripts/setup fuzz
	@FUZZ_SEED=$${FUZZ_SEED:-1} FUZZ_RUNS=$${FUZZ_RUNS:-20000} FUZZ_JOBS=$${FUZZ_JOBS:-$$(nproc)} scripts/fuzz

mutants: ## change core and envoy a little at a time, and say what no test notices: [MUTANTS_SINCE=main] [MUTANTS_FILES='...'] [MUTANTS_SHARD=3/16]; scripts/mutants
	@scripts/setup mutants
	@scripts/mutants

bad-input: ## every object of the gateway room's cases broken in every way, and 300 of them under a real Envoy
	@scripts/setup test
	PORTOLAN_BAD_INPUT=whole cargo test --locked -p portolan-core --test golden bad_input
	PORTOLAN_BAD_INPUT=whole cargo test --locked -p portolan --test e2e broken

# Objects that are made, and from which seed; `make test` tries 2,000.
OBJECTS ?= 20000
SEED ?= 8
differential: ## load what is sent into a real Envoy, at and over every limit: [OBJECTS=20000] [SEED=8]
	@scripts/setup test
	DIFFERENTIAL=$(OBJECTS) DIFFERENTIAL_SEED=$(SEED) DIFFERENTIAL_DATE=$$(date +%F) DIFFERENTIAL_REPORT=$(CURDIR)/docs/results/differential.md \
	  cargo test --locked -p portolan-envoy --test differential -- --nocapture

# Cases of each kind, and which; RECORD=1 renews the sample that `make test` compares with.
OF_KIND ?= 600
RECORD ?=
schema-diff: ## what we say to objects beside a real API server: [OF_KIND=600] [SEED=9] [RECORD=1]; needs root
	@scripts/setup rig
	@OF_KIND=$(OF_KIND) SEED=$(if $(filter file,$(origin SEED)),9,$(SEED)) RECORD=$(RECORD) scripts/schema-diff

# Argo CD's and Flux' own code is built once; minutes when cold.
gitops-diff: ## render small repositories in all shapes beside the real Kustomize, Helm and the code of Argo CD and Flux
	@scripts/setup demo
	@rig/setup argocd
	@rig/setup flux
	PATH="$(CURDIR)/.tools/rig:$(PATH)" GITOPS_REPORT="$(CURDIR)/docs/results/gitops.md" \
	  cargo test --locked -p portolan-effects --test gitops_diff -- --nocapture

golden-accept: ## write what the code gives today into the golden files; read the diff before committing
	@scripts/setup test
	PORTOLAN_ACCEPT=1 cargo test --workspace --locked --no-fail-fast
	git --no-pager diff --stat

release: ## build the stripped release binary and print its size and checksum
	@scripts/setup schemas
	cargo build --release --locked --package portolan
	@ls -l "$(PORTOLAN)" && sha256sum "$(PORTOLAN)"

RIG = $(CURDIR)/.tools/rig/rig
CHANNEL ?= standard
# quoted VARIABLE: its text as it was given, `$` and quotes too, as one word for the shell.
quoted = '$(subst ','\'',$(value $(1)))'
# The implementation that `make conformance` tests; `stub` is the rig's own trivial one, `none` is nothing.
PORTOLAN_RUN = $(if $(wildcard $(PORTOLAN)),$(shell "$(PORTOLAN)" run --help >/dev/null 2>&1 && echo "$(PORTOLAN) run --local-envoy --gateway-addresses 10.80.0.0/16"))
RESULTS = $(CURDIR)/.tools/conformance/$(or $(PROFILE),all-profiles)$(addprefix -,$(TEST))$(if $(filter standard,$(CHANNEL)),,-$(CHANNEL))$(addprefix -,$(API))
# Version of suite and definitions, if not the newest: 1.6.3.
API ?=

rig: ## a shell (or a command: RUN='...') beside a real Kubernetes API server, in a network nothing can leave; needs root
	@scripts/setup rig
	@"$(RIG)" up --crds "$(CHANNEL)" --api "$(API)" $(RIGFLAGS) $(if $(value RUN),-- $(SHELL) -c $(call quoted,RUN))

rig-test: ## the rig's own tests; needs root, and says so without
	@rig/test

conformance: ## the official Gateway API suite: [TEST=HTTPRouteWeight] [PROFILE=GATEWAY-HTTP] [GATEWAY='command'] [CHANNEL=experimental] [API=1.6.3]
	@scripts/setup rig
	@mkdir -p "$(RESULTS)"
	@"$(RIG)" conformance --gateway $(if $(filter undefined,$(origin GATEWAY)),"$(PORTOLAN_RUN)",$(call quoted,GATEWAY)) \
	  --channel "$(CHANNEL)" --api "$(API)" --options rig/conformance.yaml $(if $(TEST),--test "$(TEST)") $(if $(PROFILE),--profile "$(PROFILE)") \
	  --report "$(RESULTS)/report.yaml" --keep-logs "$(RESULTS)/logs" $(RIGFLAGS) \
	  && echo "report and logs: $(RESULTS)" || { echo "report and logs: $(RESULTS)"; exit 1; }
