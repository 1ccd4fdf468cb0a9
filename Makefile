# cvnotifyd: make, make check, make demo, make install. `make help` lists the rest.

VERSION  := 0.1.0
PREFIX   ?= /usr
DESTDIR  ?=
SYSCONFDIR ?= /etc
UNITDIR  ?= $(PREFIX)/lib/systemd/system
CC       ?= cc
BUILD    ?= build/release
CFLAGS   ?= -O2 -g

PACKAGES := libcurl libevent_core libevent_pthreads expat libcrypto libsystemd yaml-0.1 yajl
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wformat=2 -Wvla -Wundef -Wswitch-enum
override CPPFLAGS += -Idaemon -D_GNU_SOURCE -DCVNOTIFYD_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
override CFLAGS   += -std=c17 $(WARNINGS) -fno-strict-aliasing -fstack-protector-strong -pthread
override LDFLAGS  += -Wl,-z,relro,-z,now -pthread
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)

SANITIZE  := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

LIB_SRC   := $(sort $(filter-out daemon/main.c daemon/ctl/%,$(wildcard daemon/*.c daemon/*/*.c)))
LIB_OBJ   := $(LIB_SRC:%.c=$(BUILD)/%.o)
TEST_SRC  := $(sort $(wildcard tests/unit/*/*_test.c))
TEST_BIN  := $(TEST_SRC:tests/%.c=$(BUILD)/%)
DEPS_MARK := build/.deps

all: $(BUILD)/cvnotifyd

$(BUILD)/cvnotifyd: $(BUILD)/daemon/main.o $(BUILD)/libcvnotifyd.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/libcvnotifyd.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libcvnotifyd.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcmocka

unit-programs: $(TEST_BIN)

.SECONDARY:
.PHONY: all unit-programs
-include $(LIB_OBJ:.o=.d) $(BUILD)/daemon/main.d $(TEST_SRC:%.c=$(BUILD)/%.d)
