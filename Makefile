# Two commands do everything, set-up included:
#   make demo   plain Flink against Flink with the sidecar, one table
#   make test   all tests
# They need Go, a JDK 17, Python's pip and gcc, no root; what is missing is
# named. make e2e runs the sidecar in real pods and needs root and containerd. What they build and download is kept in
# $${FLINK_HA_LAB_CACHE:-$${XDG_CACHE_HOME:-~/.cache}/flink-ha-lab} and used again.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X flink-ha-sidecar/internal/command.version=$(VERSION)

.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

needs:
	@command -v go > /dev/null || { echo "Go is missing: install Go 1.26 or later"; exit 1; }
	@go run ./lab/cmd/cache needs

build: ## bin/flink-ha
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/flink-ha .

image: ## the container image for amd64 and arm64, as archives in bin/, without a container engine
	@go run ./lab/cmd/image --version '$(VERSION)' --out bin

demo: needs ## plain Flink against Flink with the sidecar; SAMPLES= BACKEND= FLINK= JOBMANAGERS= SIGNAL= RETRY= KEEP=1 OUT=FILE
	@go run ./lab/cmd/demo

# What runs real Flink is by itself: it would otherwise fight for two cores. The
# simulators play all of their seeds without the race detector, which makes a pure
# function twenty times slower and finds nothing in it.
test: needs ## all tests: unit, contract, simulator, end to end on real parts
	go vet ./...
	go test -race -p 2 -count=1 -timeout 30m $$(go list ./... | grep -v /lab/e2e$$)
	go test -race -count=1 -timeout 40m ./lab/e2e
	FLINK_HA_LAB_SLOW=1 go test -count=1 -run 'TestSimulation' ./leader/leadertest ./leader/vvp

test-short: ## the tests that need no real parts
	go test -race -short ./...

test-all: test mutants ## test, and what takes too long for it
	FLINK_HA_LAB_SLOW=1 go test -race -p 1 -count=1 -timeout 60m ./leader/leadertest ./leader/vvp ./lab/e2e

# CI=1 leaves out the scenarios that take minutes.
e2e: needs ## real pods on a real node: root and Debian's containerd, runc, containernetworking-plugins, iptables
	FLINK_HA_LAB_NODE=1 FLINK_HA_LAB_SLOW=$(if $(CI),0,1) go test -count=1 -v -timeout $(if $(CI),20m,90m) ./lab/e2enode

pods: needs ## what the sidecar is worth in real pods, as tables: SCENARIOS= SAMPLES=5 KILLS=30 OUT=FILE; needs what e2e does
	go run ./lab/cmd/pods

lint: ## golangci-lint, built from the pinned source
	@"$$(go run ./lab/cmd/cache lint)" run ./...

mutants: ## breaks the safety rules one by one; each must be noticed by a test
	go run ./lab/cmd/mutants

kills: needs ## how long a release takes: KILLS=200 stand-ins and JVMS=10 real ones
	go run ./lab/cmd/kills

zkkills: needs ## kills with ZooKeeper HA: KILLS=200 stand-ins, every deletion audited
	go run ./lab/cmd/zkkills

zkleftovers: needs ## what 20 failovers with ZooKeeper HA leave behind, plain and with sidecars
	go run ./lab/cmd/zkleftovers

vvp: needs ## vvp-kubernetes: a lock freed on proof against a lease that runs out; SAMPLES=3 FLINK= LEASE= RENEW= RETRY= OUT=FILE
	@go run ./lab/cmd/vvp

idle: needs ## what a sidecar costs while nothing happens, over FOR=5m
	go run ./lab/cmd/idle

outage: needs ## what outages of the API server cost: KINDS= LEADER= SIDE= SAMPLES= OUT=FILE, which goes on where it was ended
	go run ./lab/cmd/outage

soak: needs ## what sidecars hold after CHANGES=500 leader changes; OUT=FILE
	go run ./lab/cmd/soak

# Never in CI: it takes 40 minutes and a quiet machine. Interrupted, it goes on where
# it was.
bench-discovery: needs ## what followers cost, by poll, watch and sidecar; FOLLOWERS= SOURCES= FOR= CHANGES= OUT=FILE FRESH=1
	go build -o bin/benchdiscovery ./lab/cmd/benchdiscovery
	bin/benchdiscovery

clean-cache: ## removes what demo and test have built and downloaded
	go run ./lab/cmd/cache clean
