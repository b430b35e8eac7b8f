# `make demo` shows the main job on a real API server and an AWS emulator; `make test` runs everything that CI runs.
# Needed: Rust, Go, Python 3 and Node.js with npm. Everything else is built or installed into the cache folder.

export PLUMBLINE_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/plumbline
# Outside the checkout, so that a fresh clone does not compile the AWS SDKs again.
export CARGO_TARGET_DIR ?= $(PLUMBLINE_CACHE)/target

.PHONY: help demo demo-stop test lint rig image crds docs compare

help: ## Lists what can be made.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Builds everything, audits two believable accounts in a real cluster, and shows what it found.
	@tests/demo/run

demo-stop: ## Stops what `make demo` left running.
	@tests/demo/stop

test: lint rig ## Format, clippy, unit, property and integration tests.
	cargo test --workspace --no-fail-fast

lint: ## Format, clippy, the Dockerfile and the shell scripts: warnings as errors.
	@tests/lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings

rig: ## What the tests run on: control plane, kubectl, Helm, Flux, AWS emulators, Prometheus. Once a machine.
	@tests/controlplane/build >/dev/null
	@tests/controlplane/tools >/dev/null
	@tests/gitops/build >/dev/null
	@for name in moto ministack awscli; do tests/python/install "$$name" >/dev/null || exit 1; done
	@tests/prometheus/install >/dev/null

image: ## The release, and the image of it without a daemon: built, looked into, and run on the rig. Half an hour once.
	@tests/image/build >/dev/null
	cargo test --workspace --test it image:: -- --ignored

crds: ## Writes crds/, and the chart's copy of it, anew from the types.
	cargo build --workspace --quiet
	"$$CARGO_TARGET_DIR/debug/plumbline" crd --dir crds
	"$$CARGO_TARGET_DIR/debug/plumbline" crd --dir charts/plumbline/files/crds

docs: ## Writes anew what of the documentation is made from the program.
	PLUMBLINE_WRITE=1 cargo test --workspace --test it generated::

compare: ## Prowler and Cloud Custodian beside Plumbline on the same accounts: where they differ, what they cost.
	@tests/compare/run
