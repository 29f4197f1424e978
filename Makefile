# Everything a person or CI runs. Each target installs or builds what it needs
# and is quick when that is done. State lives in .state/ and target/ alone.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := $(CURDIR)/.state/bin
export PATH := $(BIN):$(PATH)

.PHONY: help
help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## The demo ---------------------------------------------------------------

.PHONY: demo tour demo-clean
demo: ## Run everything here: a Kubernetes, a Git server, three environments, the page.
	@tests/demo/demo.sh up

tour: ## Walk through a merge, a drift, a refusal and an alert, with timings.
	@tests/demo/demo.sh tour

demo-clean: ## Stop the demo and remove all that it made on this machine.
	@tests/demo/demo.sh clean

## Building and testing -----------------------------------------------------

.PHONY: build
build: ## Build the release binary.
	cargo build --release --locked

.PHONY: cluster-tools helm-tool tools
cluster-tools:
	@tests/cluster/build.sh $(BIN)

helm-tool:
	@tests/tools/helm.sh $(BIN)

tools: cluster-tools helm-tool ## Build what the tests need: a local Kubernetes and the real helm.
	@tests/tools/install.sh

.PHONY: test test-fast test-pods
test: tools test-fast test-pods ## Run all tests: unit, real API server, real pods.

test-fast: tools ## Run the tests that need no root: unit, real helm, Git, API server, Redis.
	cargo test --locked

test-pods: tools ## Run the tests on real pods (root and Linux; says why when it cannot).
	@tests/pods.sh

.PHONY: lint
lint: ## Check format, clippy, shell and Go code, licences and sources of dependencies.
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	@tests/tools/deny.sh $(BIN)
	cd tests/cluster && test -z "$$(gofmt -l .)" && go vet ./...

.PHONY: bench
bench: tools ## Measure: push to live, drift to corrected, render, memory.
	cargo bench --locked --bench latency
