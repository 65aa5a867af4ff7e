# The targets that people use; `make` alone builds both programs into build/.

GO         ?= go
FUZZTIME   ?= 20s
DIST       ?= dist
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
DEBS        = mosquitto mosquitto-clients minisign jq qemu-user-static xz-utils shellcheck busybox \
	rauc rauc-service swupdate mender-client libubootenv-tool dbus squashfs-tools cpio openssl debootstrap rpm \
	gcc libc6-dev
SUDO        = $(if $(filter 0,$(shell id -u)),,sudo)

# Without VERSION a program tells the version that Go noted in it.
BUILT   := $(shell git log -1 --format=%ct 2>/dev/null)
LDFLAGS = -s -w$(if $(VERSION), -X github.com/ratchetd/ratchet/agent/build.version=$(VERSION))$(if $(BUILT), -X github.com/ratchetd/ratchet/agent/build.built=$(BUILT))
BUILD   = CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS) $(LINK_$*)"

build:
	$(BUILD) -o build/ ./cmd/ratchetd ./cmd/ratchet

demo: build
	build/ratchet demo

# A package that takes a minute alone takes many where all cores are busy. The
# time-out is for what hangs, not for what is slow.
TIMEOUT ?= 30m

test:
	$(GO) test -timeout $(TIMEOUT) ./...

# The same tests with the race detector, which needs a C compiler.
race:
	CGO_ENABLED=1 $(GO) test -race -timeout $(TIMEOUT) ./...

# What this asks for, every commit keeps.
check: budget vulnerabilities
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || \
		{ echo "run gofmt -w on: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) ./...
	@if command -v shellcheck >/dev/null; then shellcheck $(SHELL_SCRIPTS); \
		else echo "shellcheck is not installed: make deps"; fi

SHELL_SCRIPTS = .ci/run scripts/firmware/uboot executor/step/steptest/testdata/firmware/board updater/testdata/bin/* \
	$(shell git ls-files '*.sh' scripts/packages/linux scripts/packages/openwrt \
	scripts/openwrt/ratchetd-start scripts/openwrt/ratchetd-uci 'scripts/openwrt/ratchet.[idh]*')

budget:
	$(GO) run ./scripts/budget

# Known vulnerabilities of what is linked. Their list is on the network: where
# that cannot be reached, nothing is known, and nothing is wrong.
vulnerabilities:
	@GOBIN=$(CURDIR)/build $(GO) install $(GOVULNCHECK)
	@build/govulncheck ./...; code=$$?; \
	if [ $$code -eq 3 ]; then exit 1; \
	elif [ $$code -ne 0 ]; then echo "govulncheck: nothing is known here about vulnerabilities: see above"; fi

# Routers have 8 to 16 MB of flash, and no floating point unit. Without inlining
# and HTTP/2 a program for them is an eighth smaller; but then a hash takes
# twelve times as long and a cipher four times, so those are inlined again, for
# 5 kB. (The elliptic curves too would be 65 kB: a handshake in a sixth of the time.)
# Go 1.26 has two collectors to choose from; the older one is 26 kB smaller.
LEAN      := $(if $(findstring go1.26,$(shell $(GO) env GOVERSION)),GOEXPERIMENT=nogreenteagc)
ARCHES     = amd64 386 armv5 armv6 armv7 arm64 mips mipsle mips64le riscv64
FOR_armv5  = GOARCH=arm GOARM=5
FOR_armv6  = GOARCH=arm GOARM=6
FOR_armv7  = GOARCH=arm GOARM=7
FOR_mips   = GOARCH=mips GOMIPS=softfloat $(LEAN)
FOR_mipsle = GOARCH=mipsle GOMIPS=softfloat $(LEAN)
FOR_mips64le = GOARCH=mips64le GOMIPS64=softfloat
FAST       = crypto/internal/fips140/sha256 crypto/internal/fips140/sha512 crypto/internal/fips140deps/byteorder \
	internal/byteorder math/bits vendor/golang.org/x/crypto/...
ROUTER     = -gcflags=all=-l $(FAST:%=-gcflags=%=) -tags nethttpomithttp2
# Go lays out MIPS programs for pages of 64 KiB; routers have 4, a few 16.
LINK_mips    = -R 0x4000
LINK_mipsle  = -R 0x4000
FLAGS_mips   = $(ROUTER)
FLAGS_mipsle = $(ROUTER)

cross: $(ARCHES:%=$(DIST)/ratchetd-linux-%)

$(DIST)/ratchetd-linux-%: FORCE
	GOOS=linux $(or $(FOR_$*),GOARCH=$*) $(BUILD) $(FLAGS_$*) -o $@ ./cmd/ratchetd

size: cross
	scripts/size.sh $(DIST)/ratchetd-linux-*

# Packages of the commit, or of VERSION: PACKAGES='deb/* ipk/mipsel_24kc' for some.
PKG_VERSION = $(or $(VERSION),0.0.0-git$(shell date -u -d @$(or $(BUILT),0) +%Y%m%d%H%M%S))
packages: VERSION := $(PKG_VERSION)
packages: cross $(DIST)/ratchet-linux-amd64 $(DIST)/ratchet-linux-arm64
	SOURCE_DATE_EPOCH=$(or $(BUILT),0) DIST=$(DIST) scripts/packages/build.sh $(PKG_VERSION) $(PACKAGES)

# Programs, packages, what they are made of, sums and signatures: RATCHET_SIGN
# names the secret key's file.
release: packages
	DIST=$(DIST) scripts/packages/release.sh $(PKG_VERSION)

$(DIST)/ratchet-linux-%: FORCE
	GOOS=linux $(or $(FOR_$*),GOARCH=$*) $(BUILD) -o $@ ./cmd/ratchet

# What every program weighs, alone and in its packages, and what it needs of a board's memory.
boards: build packages
	$(GO) run ./scripts/bench -dist $(DIST) boards

bench: build
	$(GO) test -run '^$$' -bench . -benchmem ./store ./telemetry
	$(GO) run ./scripts/bench
	$(MAKE) --no-print-directory size

# Sessions with mosquitto and with three nodes of NATS server, which Go builds into
# build/ (without the network they are left out), and the same code on other processors:
# big-endian 32 bit, little-endian 32 bit, and the one that most boards have. Where Node
# and npm are there, the clouds' own clients try the fakes of their services.
e2e: e2e-mips e2e-mipsle e2e-armv7
	RATCHET_E2E=1 $(GO) test ./agent ./cmd/... ./executor/step/... ./scripts/mosquitto ./scripts/nats ./scripts/packages ./scripts/fakeaws ./scripts/fakehub -run E2E -count=1 -timeout 20m

QEMU_mips   = qemu-mips-static
QEMU_mipsle = qemu-mipsel-static
QEMU_armv7  = qemu-arm-static

e2e-mips e2e-mipsle e2e-armv7: e2e-%:
	CGO_ENABLED=0 $(FOR_$*) $(GO) test $(FLAGS_$*) -exec $(QEMU_$*) -count=1 -timeout 40m ./store ./executor ./telemetry ./updater

# Whole machines: Debian's kernels on processors that qemu emulates. They fetch
# what they need into build/vm, and skip what this system lacks the tools for.
vm: vm-slots vm-cuts vm-jffs2 vm-ubifs vm-bounds vm-armhf

vm-slots vm-cuts vm-bounds: vm-%: dist/ratchetd-linux-amd64
	$(GO) run ./scripts/vm $*

vm-jffs2 vm-ubifs: vm-%: dist/ratchetd-linux-mipsle
	$(GO) run ./scripts/vm $*

vm-armhf: dist/ratchetd-linux-armv7
	$(GO) run ./scripts/vm armhf

# They need root, and the package: make packages PACKAGES=deb/amd64
vm-systemd vm-units: vm-%:
	$(GO) run ./scripts/vm $*

# Needs root too.
vm-install: dist/ratchetd-linux-amd64
	$(GO) run ./scripts/vm install

# A machine whose disk forgets what was not flushed, and whose power fails CUTS
# times while the agent does jobs of every kind. SEED repeats a run's choices.
CUTS ?= 30
SEED ?= 1
powercut:
	$(GO) run ./scripts/powercut -cuts $(CUTS) -seed $(SEED)

# The agent goes on from N states of one recorded disk, each as a cut would have
# left it at that moment. Needs root: it makes mounts and a network of its own.
N ?= 500
powercut-states:
	$(GO) run ./scripts/powercut -states $(N) -seed $(SEED)

# The cuts with the promises broken on purpose: each way must be found.
powercut-controls:
	$(GO) run ./scripts/powercut -controls

# The executor's walk against its specification: all jobs of up to three steps,
# with up to four cuts wherever they can come.
model:
	RATCHET_MODEL='3 4' $(GO) test ./executor -run TestTheWalkIsWhatItsSpecificationSays -v -count=1 -timeout 4h

# Every fuzz target for FUZZTIME.
fuzz:
	@set -e; for pkg in $$($(GO) list ./...); do \
		list=$$($(GO) test -list '^Fuzz' $$pkg); \
		for name in $$(echo "$$list" | grep '^Fuzz' || true); do \
			echo "$$pkg $$name"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

# What e2e needs beyond Go, on Debian and its children.
deps:
	@missing=; for p in $(DEBS); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then echo "no apt-get here: install$$missing by hand"; exit 1; fi; \
	$(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing

clean:
	rm -rf build dist

.DEFAULT_GOAL = build
.PHONY: model powercut powercut-states powercut-controls vm vm-slots vm-cuts vm-bounds vm-jffs2 vm-ubifs vm-armhf vm-systemd vm-units vm-install build demo test race check budget vulnerabilities cross packages release size boards bench e2e e2e-mips e2e-mipsle e2e-armv7 fuzz deps clean FORCE
