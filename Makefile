# xdpsar: everything a person or CI does with the checkout, by name.
# Only set-up and cargo lines stand here; what they do is in scripts/ and xtask/.

export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH):/usr/sbin:/sbin

CARGO = cargo
DEPS = @sh scripts/deps.sh
DEEP = loom miri fuzz

.DEFAULT_GOAL := help
.PHONY: help demo build test test-py notebooks test-fast bench bench-core bench-gate bench-handoff bench-latency bench-lend bench-pacing bench-py bench-report bench-scale bench-send plots soak check-deep lint fmt deny advisories ebpf ebpf-check ci deps clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

demo: ## events across a veth pair through XDP (as root; else over loopback), every byte checked
	$(DEPS) rust build net
	$(CARGO) run --release --locked --package xdpsar-cli --bin xdpsar -- demo $(DEMO)

build: ## the release binary, target/release/xdpsar
	$(DEPS) rust build
	$(CARGO) build --release --locked --package xdpsar-cli

test: ## all tests; those for root are skipped for anybody else (SUDO=1 runs them with sudo)
	$(DEPS) rust build net python
	@SUDO='$(SUDO)' sh scripts/test.sh --workspace
	@SUDO='$(SUDO)' sh scripts/test-py.sh

test-py: ## the Python package: built, installed in a venv below target/, its types and tests
	$(DEPS) rust build net python
	@SUDO='$(SUDO)' sh scripts/test-py.sh

notebooks: ## the Python notebooks, run from top to bottom; pictures in target/python/pictures
	$(DEPS) rust build net python
	@sh scripts/notebooks.sh

test-fast: ## unit tests only: no network, no privileges, seconds
	$(DEPS) rust build
	$(CARGO) test --locked --workspace --lib --bins

bench: ## the whole path against ceilings and rivals over a veth pair, into bench/PATH.md (as root; 24 minutes; BENCH='--quick': 2, printed)
	$(DEPS) rust build net
	$(CARGO) build --release --locked --package xdpsar-bench --bin bench-path
	$(CARGO) run --release --locked --quiet --package xdpsar-bench --bin bench-path -- \
		$(or $(BENCH),--json bench/results/path.json --markdown bench/PATH.md --page README.md --page docs/PERFORMANCE.md)

bench-core: ## the reassembly core against memcpy and the incumbent's algorithm (BENCH_CORE='--quick': 2 minutes)
	$(DEPS) rust build
	$(CARGO) build --release --locked --package xdpsar-bench --bin bench-core
	$(CARGO) run --release --locked --quiet --package xdpsar-bench --bin bench-core -- $(BENCH_CORE)

bench-gate: ## instructions of fixed workloads against those on record (BENCH_GATE=--update: put them there)
	$(DEPS) rust build gate
	$(CARGO) build --release --locked --package xdpsar-bench --bin bench-core --bin bench-gate
	$(CARGO) run --release --locked --quiet --package xdpsar-bench --bin bench-gate -- $(BENCH_GATE)

bench-handoff: ## from workers to consumers: ns per item against other queues, and latency (BENCH_HANDOFF='--repeats 3')
	$(DEPS) rust build
	$(CARGO) build --release --locked --package xdpsar-bench --bin bench-handoff
	$(CARGO) run --release --locked --quiet --package xdpsar-bench --bin bench-handoff -- $(BENCH_HANDOFF)

bench-latency: ## from the last fragment on the wire to the consumer's hands, by how threads wait (as root; 4 minutes; BENCH_LATENCY='--quick': 40 s)
	$(DEPS) rust build net
	$(CARGO) build --release --locked --package xdpsar-bench --bin bench-latency
	$(CARGO) run --release --locked --quiet --package xdpsar-bench --bin bench-latency -- $(or $(BENCH_LATENCY),--page docs/PERFORMANCE.md)

bench-lend: ## events lent from packet memory against copied ones, per event at the receiver (as root; a minute)
	$(DEPS) rust build net
	$(CARGO) build --release --locked --package xdpsar-bench --bin bench-lend
	$(CARGO) run --release --locked --quiet --package xdpsar-bench --bin bench-lend -- $(BENCH_LEND)

bench-pacing: ## how well a segmenter keeps the rate it is asked for: error over all, and in the worst 10 ms (a minute)
	$(DEPS) rust build
	$(CARGO) build --release --locked --package xdpsar-bench --bin bench-pacing
	$(CARGO) run --release --locked --quiet --package xdpsar-bench --bin bench-pacing -- $(BENCH_PACING)

bench-py: ## what Python costs: a call, an event, an array, threads (half a minute; BENCH_PY='--quick': less)
	$(DEPS) rust build python
	@sh scripts/bench-py.sh $(BENCH_PY)

bench-report: bench bench-latency bench-scale plots ## all tables and pictures of docs/PERFORMANCE.md, anew (as root; half an hour)

bench-scale: ## what more costs: workers, sockets, lanes, events in progress, consumers (as root; 2 minutes; BENCH_SCALE='--quick': less)
	$(DEPS) rust build net
	$(CARGO) build --release --locked --package xdpsar-bench --bin bench-scale
	$(CARGO) run --release --locked --quiet --package xdpsar-bench --bin bench-scale -- \
		$(or $(BENCH_SCALE),--json bench/results/scale.json --markdown bench/SCALE.md)

bench-send: ## our backends against bare loops and the incumbent's, over veth (as root) and loopback (4 minutes; BENCH_SEND='--quick': 40 s)
	$(DEPS) rust build net
	$(CARGO) build --release --locked --package xdpsar-bench --bin bench-send
	$(CARGO) run --release --locked --quiet --package xdpsar-bench --bin bench-send -- $(BENCH_SEND)

plots: ## the pictures of docs/PERFORMANCE.md, from bench/results
	$(DEPS) rust python
	@sh scripts/plots.sh

soak: ## a day's events by count, 10⁹ fragments: no counter drifts, no memory grows (SOAK='--fragments N')
	$(DEPS) rust build
	$(CARGO) build --release --locked --package xdpsar-bench --bin soak
	$(CARGO) run --release --locked --quiet --package xdpsar-bench --bin soak -- $(SOAK)

check-deep: ## the proofs that take minutes: loom, miri, fuzz (DEEP='loom' for one; FUZZ_SECONDS=60, FUZZ_RUNS=N)
	$(DEPS) rust build $(DEEP)
	@sh scripts/check-deep.sh $(DEEP)

lint: ## rustfmt, clippy and rustdoc, warnings are errors
	$(DEPS) rust build lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	@# Code that only a release build has or lacks: an unused import there is one, too.
	$(CARGO) clippy --release --locked --package xdpsar-cli -- --deny warnings
	@# What is left for a machine without AF_XDP's build dependencies.
	$(CARGO) clippy --locked --package xdpsar-cli --no-default-features -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --locked --workspace --no-deps --lib

fmt: ## format all code
	$(DEPS) rust lint
	$(CARGO) fmt --all

deny: ## licences, sources and duplicates of the crates we build on
	$(DEPS) rust deny
	$(CARGO) deny --locked check licenses bans sources

advisories: ## known vulnerabilities in those crates (fetches the advisory database)
	$(DEPS) rust deny
	$(CARGO) deny --locked check advisories

ebpf: ## build the XDP programs and refresh the committed objects
	$(DEPS) rust ebpf
	$(CARGO) xtask ebpf

ebpf-check: ## rebuild the XDP programs and compare them with the committed objects
	$(DEPS) rust ebpf
	$(CARGO) xtask ebpf --check

# Quick answers first; the tests last, so that their result closes the log.
# The demo must not fall back to sockets.
ci: ## what CI runs
	@for step in lint deny ebpf-check 'check-deep DEEP=fuzz' bench-gate 'demo DEMO=--backend=xdp' test; do \
		printf '\n=== make %s, %s\n' "$$step" "$$(date -u +%H:%M:%S)"; \
		$(MAKE) --no-print-directory $$step || exit 1; \
	done

deps: ## install what building and testing need
	$(DEPS) rust build net lint

clean: ## remove what was built
	$(CARGO) clean
