# `make check` needs Go alone and takes about two minutes: for people.
# `make test` is everything, in the order of what fails cheapest: for CI.
# Every step is a target of its own.

SHELL := /bin/sh
LINT_VERSION := $(shell cat .golangci-lint-version)
LINT := .bin/golangci-lint-$(LINT_VERSION)
DEADCODE := golang.org/x/tools/cmd/deadcode@v0.52.0
GOTESTSUM := gotest.tools/gotestsum@v1.13.0
# How long each fuzz target runs.
FUZZ_TIME ?= 10s

.PHONY: check test setup generate generated ui format lint unit build e2e smoke figures bench clean

check:
	go vet ./...
	go test -shuffle=on ./...
	go build ./...

test: setup generated format-check lint unit build e2e smoke

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
	@dead="$$(go run $(DEADCODE) -test -tags e2e ./...)" && [ -z "$$dead" ] || { echo "dead code:"; echo "$$dead"; exit 1; }
	cd web && npm run lint && npm run typecheck

unit:
	go run $(GOTESTSUM) --format pkgname-and-test-fails -- -race -shuffle=on ./...
	cd web && npm test

# The binary, the other systems, and whether the committed page is what its
# sources make.
build: ui
	@git diff --exit-code --stat -- web/dist && [ -z "$$(git status --porcelain web/dist)" ] || \
		{ echo "web/dist is out of date: commit what make ui has written"; git status --short web/dist; exit 1; }
	go build -o bin/thor ./cmd/thor
	GOOS=windows go vet ./... && GOOS=windows go build -o /dev/null ./cmd/thor
	GOOS=darwin go vet ./... && GOOS=darwin go build -o /dev/null ./cmd/thor

e2e:
	go build -o bin/thor ./cmd/thor
	go run $(GOTESTSUM) --format pkgname-and-test-fails -- -tags e2e ./e2e/...
	cd web && THOR_BIN="$(CURDIR)/bin/thor" npm run e2e

# Every fuzz target for a moment, and every benchmark once.
smoke:
	go test -run '^$$' -fuzz '^FuzzDecimal$$' -fuzztime $(FUZZ_TIME) .
	go test -run '^$$' -fuzz '^FuzzDecoder$$' -fuzztime $(FUZZ_TIME) ./internal/hub
	go test -run '^$$' -fuzz '^FuzzCommand$$' -fuzztime $(FUZZ_TIME) ./internal/hub
	go test -run '^$$' -fuzz '^FuzzParse$$' -fuzztime $(FUZZ_TIME) -fuzzminimizetime 10x ./internal/calendar
	go run $(GOTESTSUM) --format pkgname-and-test-fails -- -run '^$$' -bench . -benchtime 10x ./...

$(LINT): .golangci-lint-version
	GOBIN="$(CURDIR)/.bin" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv .bin/golangci-lint $(LINT)

clean:
	rm -rf .bin bin web/node_modules
