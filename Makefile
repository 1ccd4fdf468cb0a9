# cvnotifyd: make, make check, make demo, make install. `make help` lists the rest.

VERSION  := 0.1.0
PREFIX   ?= /usr
DESTDIR  ?=
SYSCONFDIR ?= /etc
UNITDIR  ?= $(PREFIX)/lib/systemd/system
CC       ?= cc
BUILD    ?= build/release
CFLAGS   ?= -O2 -g

PACKAGES := libcurl libevent_core expat libcrypto libsystemd sqlite3 yaml-0.1 yajl
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wformat=2 -Wvla -Wundef -Wswitch-enum
override CPPFLAGS += -Idaemon -D_GNU_SOURCE -DCVNOTIFYD_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
override CFLAGS   += -std=c17 $(WARNINGS) -fno-strict-aliasing -fstack-protector-strong -pthread
override LDFLAGS  += -Wl,-z,relro,-z,now -pthread
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)

SANITIZE  := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
COVERAGE  := --coverage -fprofile-abs-path -fprofile-update=atomic
FUZZING   := $(SANITIZE) -gline-tables-only -fsanitize=fuzzer-no-link

LIB_SRC   := $(sort $(filter-out daemon/main.c daemon/ctl/%,$(wildcard daemon/*.c daemon/*/*.c)))
LIB_OBJ   := $(LIB_SRC:%.c=$(BUILD)/%.o)
TEST_SRC  := $(sort $(wildcard tests/unit/*/*_test.c))
TEST_BIN  := $(TEST_SRC:tests/%.c=$(BUILD)/%)
MAN_PAGES := $(patsubst %.in,$(BUILD)/%,$(wildcard man/*.in))
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/*.c))
FUZZ_BIN  := $(FUZZ_SRC:tests/%.c=$(BUILD)/%)

# `make V=1` shows the commands.
Q   := $(if $(V),,@)
say := @$(if $(V),true,printf '  %-3s %s\n')

all: $(BUILD)/cvnotifyd $(MAN_PAGES)

$(BUILD)/cvnotifyd: $(BUILD)/daemon/main.o $(BUILD)/libcvnotifyd.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/libcvnotifyd.a: $(LIB_OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The manual's pages, with the settings and options that the program's own rows name.
$(BUILD)/man/tables: $(BUILD)/man/tables.o $(BUILD)/libcvnotifyd.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/man/%: man/%.in $(BUILD)/man/tables
	$(say) MAN $@
	$(Q)$(BUILD)/man/tables < $< > $@.new && mv $@.new $@

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libcvnotifyd.a
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcmocka

unit-programs: $(TEST_BIN)

# --- measuring ---

BENCH_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bench/*.c))
BENCH_BIN := $(addprefix $(BUILD)/bench/,queue_server curl_drain spawn stamp minimal launch)

$(BUILD)/bench/queue_server: $(BUILD)/tests/bench/fake_queue.o $(BUILD)/tests/bench/http_server.o
$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/libcvnotifyd.a
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(PKG_LIBS)

bench-programs: $(BENCH_BIN)

# Speed and memory as ratios within one run; BENCH=quick is shorter, BENCH_LONG=1 drains a million.
bench: deps
	@$(MAKE) -j$$(nproc) all bench-programs
	@/usr/bin/python3 tests/bench/bench.py $(BUILD)

# --- faults ---

$(BUILD)/fault/hook: tests/fault/hook.c
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -o $@ $<

# Preloaded into other programs: without a sanitizer of its own.
$(BUILD)/fault/synced.so: tests/fault/synced.c
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -fPIC -shared -o $@ $<

fault-programs: $(BUILD)/fault/hook $(BUILD)/fault/synced.so

# Of the release build, beside the daemon with sanitizers.
FAULT_NEEDS := $(BUILD)/cvnotifyd fault-programs $(BUILD)/bench/queue_server

# Kills, faults, lost power, full disks, jumping clocks: the long part; FAULT_SEED=N has its chances again.
fault: deps
	@$(MAKE) -j$$(nproc) BUILD=build/asan CFLAGS='$(SANITIZE) -Werror' all
	@$(MAKE) -j$$(nproc) $(FAULT_NEEDS)
	@FAULT=long FAULT_BUILD=$(BUILD) CHECK_JOBS=$${CHECK_JOBS:-2} tests/fault/run.sh build/asan

$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/libcvnotifyd.a
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

fuzz-programs: $(FUZZ_BIN)

# --- tests ---

# What the build, the tests and the demo need; installed when something is missing.
deps:
	@tests/support/deps.sh

check: build-fuzz
	@$(MAKE) -j$$(nproc) BUILD=build/asan CFLAGS='$(SANITIZE) -Werror' all unit-programs bench-programs
	@$(MAKE) -j$$(nproc) $(FAULT_NEEDS)
	@FAULT_BUILD=$(BUILD) tests/support/check.sh build/asan

# Its own build: libFuzzer is clang's.
build-fuzz:
	@tests/support/deps.sh fuzz
	@$(MAKE) -j$$(nproc) BUILD=build/fuzz CC=clang CFLAGS='$(FUZZING) -Werror' fuzz-programs

# Each target for FUZZ_SECONDS, or only FUZZ_TARGET.
fuzz: build-fuzz
	@tests/fuzz/run.sh build/fuzz $(FUZZ_TARGET)

includes:
	@CC='$(CC)' /usr/bin/python3 tests/support/includes.py

demo: deps
	@$(MAKE) -j$$(nproc) all
	@tests/demo/demo.sh $(BUILD)/cvnotifyd

# The service as users meet it: installed in a Debian of its own that is booted for the tests. Needs root.
check-systemd:
	@tests/support/deps.sh machine
	@$(MAKE) -j$$(nproc) all
	@BUILD=$(BUILD) tests/systemd/machine.sh

# The other compiler, warnings as errors.
check-clang:
	@tests/support/deps.sh clang
	@$(MAKE) -j$$(nproc) BUILD=build/clang CC=clang CFLAGS='-O2 -g -Werror' all unit-programs bench-programs

# Memcheck over the unit programs and some stories.
valgrind:
	@tests/support/deps.sh valgrind
	@$(MAKE) -j$$(nproc) BUILD=build/valgrind CC=gcc CFLAGS='-O1 -g' all unit-programs
	@tests/support/valgrind.sh build/valgrind

# Which lines of daemon/ all tests together reach.
coverage:
	@tests/support/deps.sh coverage
	@$(MAKE) BUILD=build/coverage CC=gcc CFLAGS='-O0 -g' build/coverage/tests/support/coverage_exit.o
	@$(MAKE) -j$$(nproc) BUILD=build/coverage CC=gcc CFLAGS='-O0 -g $(COVERAGE)' \
	  LDFLAGS='build/coverage/tests/support/coverage_exit.o -Wl,--wrap=_exit' all unit-programs bench-programs
	@tests/support/coverage.sh build/coverage

# --- taste ---

SOURCES := $(wildcard man/*.c daemon/*.[ch] daemon/*/*.[ch] tests/unit/*/*.[ch] tests/bench/*.[ch] \
             tests/fuzz/*.[ch] tests/fault/*.c)

format:
	clang-format -i $(SOURCES)

format-check:
	@tests/support/deps.sh tidy
	$(Q)clang-format --dry-run -Werror $(SOURCES)

# Suppressed in cppcheck: memleak and ctunullpointer do not know
# autofree and xstrdup(NULL); nullPointerRedundantCheck does not know that fatal() does not return;
# CastIntegerToAddressAtReturn takes `struct template *` for an integer.
tidy:
	@tests/support/deps.sh tidy
	clang-tidy --quiet $(filter daemon/%.c man/%.c,$(SOURCES)) -- -std=c17 $(CPPFLAGS)
	cppcheck --quiet --std=c11 --library=gnu --enable=warning,performance,portability \
	  --include=$(firstword $(wildcard /usr/include/*/sys/queue.h /usr/include/sys/queue.h)) \
	  --suppress=memleak --suppress=ctunullpointer --suppress=nullPointerRedundantCheck \
	  --suppress=CastIntegerToAddressAtReturn --error-exitcode=1 -Idaemon -D_GNU_SOURCE \
	  -DCVNOTIFYD_VERSION='"$(VERSION)"' daemon man

# --- installation ---

# Where the shipped files name a program or the configuration. The program itself looks in /etc: with
# another SYSCONFDIR the unit says -c.
relocate := sed -e 's|/usr/bin/|$(PREFIX)/bin/|g' -e 's|/usr/share/|$(PREFIX)/share/|g' \
                -e 's|/etc/cvnotifyd|$(SYSCONFDIR)/cvnotifyd|g'
bindir   := $(DESTDIR)$(PREFIX)/bin
confdir  := $(DESTDIR)$(SYSCONFDIR)/cvnotifyd
unitdir  := $(DESTDIR)$(UNITDIR)
docdir   := $(DESTDIR)$(PREFIX)/share/doc/cvnotifyd
mandir   := $(DESTDIR)$(PREFIX)/share/man
sysusers := $(DESTDIR)$(PREFIX)/lib/sysusers.d
tmpfiles := $(DESTDIR)$(PREFIX)/lib/tmpfiles.d

# A configuration that is there stays as it is, its directory too.
install: all
	install -d $(bindir) $(unitdir) $(sysusers) $(tmpfiles) $(docdir)/examples $(mandir)/man5 $(mandir)/man8
	mkdir -p $(confdir)/conf.d
	install -m 0755 $(BUILD)/cvnotifyd $(bindir)/cvnotifyd
	$(relocate) systemd/cvnotifyd.service | install -m 0644 /dev/stdin $(unitdir)/cvnotifyd.service
	install -m 0644 systemd/cvnotifyd.sysusers $(sysusers)/cvnotifyd.conf
	$(relocate) systemd/cvnotifyd.tmpfiles | install -m 0644 /dev/stdin $(tmpfiles)/cvnotifyd.conf
	test -e $(confdir)/cvnotifyd.yaml || \
	  $(relocate) conf/cvnotifyd.yaml | install -m 0640 /dev/stdin $(confdir)/cvnotifyd.yaml
	install -m 0644 $(filter %.5,$(MAN_PAGES)) $(mandir)/man5
	install -m 0644 $(filter %.8,$(MAN_PAGES)) $(mandir)/man8
	install -m 0644 README.md LICENSE $(docdir)
	install -m 0644 conf/*.yaml $(docdir)/examples
	$(relocate) systemd/hardening.conf | install -m 0644 /dev/stdin $(docdir)/examples/hardening.conf

# The configuration, the user and what the daemon kept stay.
uninstall:
	rm -f $(bindir)/cvnotifyd $(unitdir)/cvnotifyd.service $(sysusers)/cvnotifyd.conf \
	  $(tmpfiles)/cvnotifyd.conf $(mandir)/man5/cvnotifyd.yaml.5 $(mandir)/man8/cvnotifyd.8
	rm -rf $(docdir)

clean:
	rm -rf build

help:
	@echo 'make             build build/release/cvnotifyd and build/release/man'
	@echo 'make check       install what is missing, build with sanitizers, run every test'
	@echo 'make check-systemd  the service in a Debian of its own, booted (root)'
	@echo 'make check-clang build with clang, warnings as errors'
	@echo 'make valgrind    unit programs and some end-to-end tests under memcheck'
	@echo 'make coverage    every test; the lines of daemon/ that none reaches; fails under 90 %'
	@echo 'make fuzz        fuzz each parser of outside bytes: FUZZ_SECONDS=60 each, FUZZ_TARGET=one'
	@echo 'make fault       kill -9, bad networks, lost power, full disks, all at once: FAULT_SEED=N, FAULT_KILLS=500, ...'
	@echo 'make demo        show the main job on a local storage service'
	@echo 'make bench       measure speed and memory against the budgets; BENCH=quick is shorter'
	@echo 'make install     DESTDIR= PREFIX=/usr SYSCONFDIR=/etc UNITDIR=; make uninstall keeps the configuration'
	@echo 'make deps        install what the build and the tests need (Debian, npm)'
	@echo 'make format      clang-format (format-check: says what differs); make tidy: clang-tidy and cppcheck'
	@echo 'make includes    check that includes point down'
	@echo 'make clean'

.SECONDARY:
.PHONY: all unit-programs bench-programs bench fault-programs fault fuzz-programs build-fuzz fuzz deps check \
        check-systemd check-clang valgrind coverage includes demo format format-check tidy install uninstall clean help
-include $(LIB_OBJ:.o=.d) $(BUILD)/daemon/main.d $(BUILD)/man/tables.d $(TEST_SRC:%.c=$(BUILD)/%.d)
-include $(BENCH_OBJ:.o=.d) $(FUZZ_SRC:%.c=$(BUILD)/%.d)
