# make demo     watch a real call being guarded (SCENARIO=en, ja or complaint; JSON=1 ends with one JSON line)
# make test     everything; make check: format, lint, types, contracts, quick tests; make bench: figures
# make setup    what they all need: system packages, .venv with callguard in it. Quick the second time.

SCENARIO ?= en
PYTHON ?= python3
BIN := .venv/bin
STAMPS := .sandbox/stamps
APT := mmdebstrap sox espeak-ng ffmpeg python3-venv util-linux
APT_TEST := chromium chromium-driver postgresql libpangoft2-1.0-0 libharfbuzz-subset0 fonts-noto-cjk
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)
QUICK := tests/unit tests/contract tests/replay

.PHONY: setup setup-test demo test check bench clean

setup: $(STAMPS)/venv
setup-test: $(STAMPS)/apt-test $(STAMPS)/venv

$(STAMPS)/apt:
	@mkdir -p $(STAMPS)
	@missing=$$(dpkg-query -W -f '$${db:Status-Abbrev} $${Package}\n' $(APT) 2>/dev/null | awk '$$1 == "ii" {print $$2}' | sort > $@.new; \
	  echo $(APT) | tr ' ' '\n' | sort | comm -23 - $@.new); rm -f $@.new; \
	if [ -n "$$missing" ]; then echo "setup: system packages:" $$missing >&2; \
	  $(SUDO) apt-get update -qq >&2 && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >&2; fi
	@touch $@

# Ubuntu's chromium is a shim for another packager's store: where a package cannot be had, its tests say so.
$(STAMPS)/apt-test: $(STAMPS)/apt
	@for one in $(APT_TEST); do dpkg -s $$one >/dev/null 2>&1 || { echo "setup: $$one" >&2; \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$one >&2 \
	  || echo "setup: $$one cannot be had here" >&2; }; done
	@touch $@

$(STAMPS)/venv: pyproject.toml $(STAMPS)/apt
	@echo "setup: Python packages, speech models and voices (a few minutes the first time)" >&2
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --editable '.[voices,models,pdf,s3,oidc,learn,dev]' >&2
	@touch $@

demo: setup
	@$(BIN)/callguard demo --scenario $(SCENARIO) $(if $(JSON),--json)

test: setup-test
	@$(BIN)/pytest

check: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy callguard
	@$(BIN)/lint-imports
	@$(BIN)/pytest $(QUICK) -m 'not asterisk and not slow and not browser and not postgres'

bench: setup
	@$(BIN)/callguard bench keys
	@$(BIN)/callguard bench judging --utterances tests/replay/sentences/en/i.tsv
	@$(BIN)/callguard bench calls --calls 10
	@$(BIN)/callguard bench taps
	@$(BIN)/callguard bench asr
	@$(BIN)/callguard bench gate

clean:
	@rm -rf .sandbox .venv
