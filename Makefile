# The commands a person types. `make help` lists them.
EDITION ?= server
ISO_ARGS ?=
RUN_ARGS ?=
SERVER_ARGS ?=
WINDOWS := x86_64-pc-windows-gnu
MUSL := x86_64-unknown-linux-musl
GNU := x86_64-unknown-linux-gnu
WINDRES := x86_64-w64-mingw32-windres
AEGIS := target/release/aegis
# What is built is below target, also where the environment says otherwise: what comes next looks there.
export CARGO_TARGET_DIR = $(CURDIR)/target
# ring compiles C and assembly; without a musl compiler cc would look for one that Debian names differently.
export CC_x86_64_unknown_linux_musl = musl-gcc
# No path of the building machine enters a program.
SHIP_FLAGS := --remap-path-prefix=$(CURDIR)=/aegis --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo

.PHONY: help setup binaries windows iso run server test test-all bench check

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what this machine lacks
	@tests/setup

binaries: setup
	RUSTFLAGS="$(SHIP_FLAGS)" cargo build --quiet --locked --profile ship --target $(MUSL) -p aegis-init -p aegis-tools
	RUSTFLAGS="$(SHIP_FLAGS)" cargo build --quiet --locked --profile ship --target $(GNU) -p aegis-installer
	cargo build --quiet --locked --release -p aegis-boot
	@$(AEGIS) keys generate --if-missing

iso: binaries ## Build a signed ISO: make iso EDITION=server
	$(AEGIS) iso build --edition $(EDITION) $(ISO_ARGS)

windows: ## Build the installer for Windows
	@tests/setup windows
	@mkdir -p target/$(WINDOWS)
	$(WINDRES) installer-tui/windows/aegis-installer.rc target/$(WINDOWS)/aegis-installer.res.o
	RUSTFLAGS="$(SHIP_FLAGS)" cargo rustc --quiet --locked --profile ship --target $(WINDOWS) -p aegis-installer \
		--bin aegis-installer -- -C link-arg=target/$(WINDOWS)/aegis-installer.res.o
	@ls -l target/$(WINDOWS)/ship/aegis-installer.exe

run: ## Boot the ISO in QEMU: make run EDITION=server RUN_ARGS=--uefi
	@ls target/aegis/$(EDITION)/*.iso >/dev/null 2>&1 || $(MAKE) --no-print-directory iso
	$(AEGIS) run "$$(ls -t target/aegis/$(EDITION)/*.iso | head -n 1)" $(RUN_ARGS)

server: setup ## Show the whole site on this machine, with data of its own
	cargo build --quiet --locked --release -p aegis-server
	target/release/aegis-server demo $(SERVER_ARGS)

check: setup ## Format, lints, unit tests
	cargo fmt --check
	cargo clippy --quiet --locked --workspace --features aegis-server/otel --all-targets -- -D warnings

test: check ## Everything that must pass before a change lands
	@tests/run

test-all: check ## As test, with every power cut and long mutation runs
	@AEGIS_ALL=1 tests/run

bench: binaries ## Measure against the peers; the report is target/aegis/bench.md
	@tests/bench
