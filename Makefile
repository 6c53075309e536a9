# `make check` needs Go alone and takes about two minutes: for people.
# `make test` is everything, in the order of what fails cheapest: for CI.
# Every step is a target of its own.

SHELL := /bin/sh
LINT_VERSION := $(shell cat .golangci-lint-version)
LINT := .bin/golangci-lint-$(LINT_VERSION)
DEADCODE := golang.org/x/tools/cmd/deadcode@v0.52.0
GOTESTSUM := go run gotest.tools/gotestsum@v1.13.0
# Each run of Go tests leaves a record, of which the last line of all is made.
# A package may take its time on a machine that has other things to do.
RUNS := bin/runs
RECORD = $(GOTESTSUM) --format pkgname-and-test-fails --jsonfile $(RUNS)/$@.json -- -timeout 30m
# How many inputs each fuzz target tries. A count, for a target stopped by the
# clock may be stopped in the middle of one, which counts as a failure; and
# little minimizing, which may take a minute for each new input.
FUZZ := go test -run '^$$' -fuzztime $(or $(FUZZ_TIME),20000x) -fuzzminimizetime 10x

.NOTPARALLEL:
.PHONY: check test setup generate generated ui format lint unit build e2e smoke figures clean

check:
	go vet ./...
	go test -shuffle=on ./...
	go build ./...

test: setup generated format-check lint unit build e2e smoke summary

setup:
	./.ci/setup
	cd web && npm ci --no-audit --no-fund --loglevel=error

# The files other languages need to know of this one.
generate:
	go run ./internal/gen .

generated: generate
	@git diff --exit-code --stat -- docs/openapi.json web/client/src/generated.ts || \
		{ echo "generated files are out of date: commit what make generate has written"; exit 1; }

# The page: web/dist is committed, so that building the server needs Go alone.
ui:
	cd web && npm run build

format: $(LINT)
	$(LINT) fmt
	cd web && npm run format

.PHONY: format-check
format-check: $(LINT)
	$(LINT) fmt --diff
	go mod tidy -diff

lint: $(LINT)
	$(LINT) run ./...
	cd bench && go vet ./...
	@dead="$$(go run $(DEADCODE) -test -tags e2e ./...)" && [ -z "$$dead" ] || { echo "dead code:"; echo "$$dead"; exit 1; }
	cd web && npm run lint && npm run typecheck && npm run check:packages

# With the race detector; but for the scripts of the command line, which start
# whole servers, as the end to end tests do.
unit: | $(RUNS)
	$(RECORD) -race -shuffle=on $$(go list ./... | grep -v /cmd/thor$$)
	$(GOTESTSUM) --format pkgname-and-test-fails --jsonfile $(RUNS)/scripts.json -- -shuffle=on ./cmd/thor
	$(GOTESTSUM) --format pkgname-and-test-fails --jsonfile $(RUNS)/minutes.json -- -run Minute ./internal/calendar # every one: the race detector sees every fifth
	cd web && npm test
	python3 -B clients/python/test_thor_ws.py

# The binary, the other systems, and whether the committed page is what its
# sources make.
build: ui
	@git diff --exit-code --stat -- web/dist && [ -z "$$(git status --porcelain web/dist)" ] || \
		{ echo "web/dist is out of date: commit what make ui has written"; git status --short web/dist; exit 1; }
	go build -o bin/thor ./cmd/thor
	GOOS=windows go vet ./... && GOOS=windows go build -o /dev/null ./cmd/thor
	GOOS=darwin go vet ./... && GOOS=darwin go build -o /dev/null ./cmd/thor

e2e: | $(RUNS)
	go build -o bin/thor ./cmd/thor
	$(RECORD) -tags e2e ./e2e/...
	cd web && THOR_BIN="$(CURDIR)/bin/thor" npm run e2e

# What the soak of e2e does in two minutes, for longer: make soak SOAK=1h
.PHONY: soak
soak:
	THOR_SOAK=$(or $(SOAK),10m) go test -tags e2e ./e2e -run '^TestSoak$$' -count 1 -timeout 0 -v

# Every fuzz target for a moment, and every benchmark once.
smoke:
	$(FUZZ) -fuzz '^FuzzDecimal$$' .
	$(FUZZ) -fuzz '^FuzzRead$$' .
	$(FUZZ) -fuzz '^FuzzDecoder$$' ./internal/hub
	$(FUZZ) -fuzz '^FuzzCommand$$' ./internal/hub
	$(FUZZ) -fuzz '^FuzzToken$$' ./internal/auth
	$(FUZZ) -fuzz '^FuzzResume$$' ./internal/hub
	$(FUZZ) -fuzz '^FuzzParse$$' ./internal/calendar
	$(FUZZ) -fuzz '^FuzzAmendment$$' ./internal/calendar
	$(FUZZ) -fuzz '^FuzzAnswers$$' ./internal/source/upstream
	$(FUZZ) -fuzz '^FuzzScript$$' ./internal/source/sim
	$(FUZZ) -fuzz '^FuzzRead$$' ./internal/source/replay
	go test -run '^$$' -bench . -benchtime 10x ./...

# One line over all runs of Go tests, which is what CI reads.
.PHONY: summary
summary:
	@$(GOTESTSUM) --format none --raw-command -- cat $(RUNS)/*.json

# The figures of the README. On a shared machine compare those of one run.
figures:
	go build -o bin/thor ./cmd/thor
	cd bench && go run ./figures "$(CURDIR)/bin/thor"
	cd web/e2e && THOR_BIN="$(CURDIR)/bin/thor" node figures.mjs 60

$(RUNS):
	mkdir -p $@

$(LINT): .golangci-lint-version
	GOBIN="$(CURDIR)/.bin" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv .bin/golangci-lint $(LINT)

clean:
	rm -rf .bin bin web/node_modules
