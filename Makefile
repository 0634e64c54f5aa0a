# lode: `make help` says what there is to make.
#
#   make                                    for Lua 5.4
#   make LUA_VERSION=5.3                    for Lua 5.3
#   make LUA_VERSION=5.1 LUA=luajit         for LuaJIT
#
# Which Lua: LUA is the interpreter, LUA_VERSION its language, LUA_INCDIR the
# directory of lua.h where neither pkg-config nor the usual places have it.
# LMDB: pkg-config's, or the one in LMDB_DIR (or LMDB_INCDIR, LMDB_LIBDIR).
# CC, CFLAGS and LDFLAGS are yours; what lode can't do without is added. All
# stand in the linking too, so that CFLAGS="-O3 -flto" works.

.DEFAULT_GOAL := build
SUBMAKE = $(MAKE) --no-print-directory

# {==================================================================
# The Lua, the LMDB, the system
# ===================================================================

ifdef LUA
  LUA_VERSION ?= $(shell $(LUA) -e 'print(_VERSION:match "[%d.]+")')
endif
LUA_VERSION ?= 5.4
undotted := $(subst .,,$(LUA_VERSION))

# The first that runs this version; before anything is set up, what Debian
# will call it.
ifndef LUA
  LUA := $(or $(shell \
    for lua in lua$(LUA_VERSION) lua$(undotted) lua; do \
      $$lua -e 'assert(_VERSION == "Lua $(LUA_VERSION)")' 2>/dev/null && \
        echo $$lua && break; \
    done),lua$(LUA_VERSION))
endif
vm := $(notdir $(LUA))

# What pkg-config says with $(1) of the first of $(2) that it knows.
packaged = $(shell for name in $(2); do \
             pkg-config $(1) $$name 2>/dev/null && break; done)

ifdef LUA_INCDIR
  LUA_CFLAGS := -I$(LUA_INCDIR)
else
  lua_names := $(if $(findstring jit,$(vm)),luajit luajit-2.1, \
                 lua$(LUA_VERSION) lua-$(LUA_VERSION) lua$(undotted))
  lua_places := $(foreach root, \
                  /usr/include /usr/local/include /opt/homebrew/include, \
                  $(addprefix $(root)/,$(lua_names)))
  LUA_CFLAGS := $(or $(call packaged,--cflags,$(lua_names)), \
                  $(addprefix -I,$(firstword $(wildcard $(lua_places)))))
endif
LUA_LIBS = $(or $(call packaged,--libs,$(lua_names)),-llua$(LUA_VERSION)) -lm

ifdef LMDB_DIR
  LMDB_INCDIR ?= $(LMDB_DIR)/include
  LMDB_LIBDIR ?= $(LMDB_DIR)/lib
endif
ifeq ($(LMDB_INCDIR)$(LMDB_LIBDIR),)
  LMDB_CFLAGS := $(call packaged,--cflags,lmdb)
  LMDB_LIBS := $(or $(call packaged,--libs,lmdb),-llmdb)
else
  LMDB_CFLAGS := $(addprefix -I,$(LMDB_INCDIR))
  LMDB_LIBS := $(addprefix -L,$(LMDB_LIBDIR)) -llmdb
endif

# nodelete: closing a lua_State must not unmap the code that a thread of
# another is running.
ifeq ($(shell uname -s),Darwin)
  AS_MODULE = -bundle -undefined dynamic_lookup
  AS_LIBRARY = -dynamiclib -install_name $(INST_CLIBDIR)/$(soname)
  soname = liblode.$(lib_major).dylib
  library = liblode.$(lib_version).dylib
  linked = liblode.dylib
else
  AS_MODULE = -shared -Wl,-z,nodelete
  AS_LIBRARY = -shared -Wl,-z,nodelete -Wl,-soname,$(soname)
  soname = liblode.so.$(lib_major)
  library = liblode.so.$(lib_version)
  linked = liblode.so
endif

# }==================================================================

# {==================================================================
# Building: a directory for each Lua and mode
# ===================================================================

# release: what is installed; lib: the library for C, without any Lua.
# test: asserts hold, allocations are counted and can be made to fail.
# asan, tsan: the same under the sanitizers of memory, and of threads.
# fuzz: for `make fuzz`, which takes clang.
# gcc, clang, gcc-test, clang-test: what `make lint` compiles.
MODE = release
OUT = build/$(vm)$(patsubst %,-%,$(filter-out release,$(MODE)))

sanitizers = -fsanitize=address,undefined -fno-sanitize-recover=undefined
test_flags = -DLODE_TEST
asan_flags = -DLODE_TEST $(sanitizers) -fno-omit-frame-pointer
tsan_flags = -DLODE_TEST -fsanitize=thread -fno-omit-frame-pointer
fuzz_flags = -DLODE_TEST -fsanitize=fuzzer-no-link,address \
             -fno-omit-frame-pointer
release_flags = -DNDEBUG
lib_flags = $(release_flags) -DLODE_SHARED
gcc_flags = $(release_flags) -Werror
gcc-test_flags = $(test_flags) -Werror
clang_flags = $(gcc_flags)
clang-test_flags = $(gcc-test_flags)
CFLAGS ?= $(if $(filter test asan tsan,$(MODE)),-O1 -g,-O2)

COMPILE = $(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -pthread \
          -fPIC -fvisibility=hidden $(CFLAGS) $($(MODE)_flags) \
          -Icsrc $(LUA_CFLAGS) $(LMDB_CFLAGS)
LIBS = $(LDFLAGS) $(LMDB_LIBS) -lm
dependencies = -MMD -MP -MT $@ -MF $@.d

# `hosted` is the binding as a program has it that brings its own Lua.
core := $(patsubst csrc/%.c,%.o,$(wildcard csrc/core/*.c))
hosted := $(patsubst csrc/%.c,%.o,$(wildcard csrc/lua/*.c)) lfiles.o
binding := $(filter-out lua/lhost.o lfiles.o,$(hosted))
lua_files := $(wildcard lua/*/*/*.lua lua/*/*.lua)
embedded := $(filter-out lua/lode/cli%,$(lua_files)) # no host needs those
c_tests := $(patsubst spec/c/%.c,%,$(wildcard spec/c/test_*.c))
lua_c_tests := $(patsubst spec/c/%.c,%,$(wildcard spec/c/lua_*.c))
hard_tests := $(basename $(notdir \
                $(wildcard spec/crash/crash_*.c spec/fault/fault_*.c)))
preloads := $(patsubst %.c,%.so,$(notdir \
              $(wildcard spec/crash/preload_*.c spec/fault/preload_*.c)))
bench := $(patsubst spec/bench/%.c,build/bench/%,$(wildcard spec/bench/*.c))
bench := $(patsubst %_lua,%_lua.so,$(bench))

.PHONY: build
build: $(OUT)/lode/core.so ## the C module, build/LUA/lode/core.so

$(OUT)/lode/core.so: $(addprefix $(OUT)/,$(core) $(binding))
	@mkdir -p $(@D)
	$(COMPILE) $(AS_MODULE) -o $@ $^ $(LIBS)

$(OUT)/%.o: csrc/%.c $(OUT)/flags
	@mkdir -p $(@D)
	$(COMPILE) $(dependencies) -c -o $@ $<

$(OUT)/lfiles.o: $(OUT)/lfiles.c $(OUT)/flags
	$(COMPILE) $(dependencies) -c -o $@ $<

$(OUT)/lfiles.c: .ci/embed.lua $(embedded)
	@mkdir -p $(@D)
	$(LUA) .ci/embed.lua $(embedded) >$@.now && mv $@.now $@

.PHONY: c-tests
c-tests: $(addprefix $(OUT)/,$(c_tests) $(lua_c_tests) $(hard_tests))
c-tests: $(addprefix $(OUT)/,$(preloads))

define link_test
$(COMPILE) -Ispec/c $(dependencies) -o $@ $(filter %.c %.o,$^) $(LIBS)
endef

$(OUT)/test_%: spec/c/test_%.c $(addprefix $(OUT)/,$(core))
	$(link_test)

$(OUT)/crash_%: spec/crash/crash_%.c $(addprefix $(OUT)/,$(core))
	$(link_test)

$(OUT)/fault_%: spec/fault/fault_%.c $(addprefix $(OUT)/,$(core))
	$(link_test)

# What such a program preloads stands between it and the system, whatever
# the mode: no sanitizer is in it.
define link_preload
$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -pthread -fPIC \
  $(CFLAGS) $(filter -Werror,$($(MODE)_flags)) -Icsrc -Ispec/c \
  $(dependencies) -shared -o $@ $< $(LDFLAGS) -ldl
endef

$(OUT)/preload_%.so: spec/crash/preload_%.c $(OUT)/flags
	$(link_preload)

$(OUT)/preload_%.so: spec/fault/preload_%.c $(OUT)/flags
	$(link_preload)

$(OUT)/lua_%: spec/c/lua_%.c $(addprefix $(OUT)/,$(core) $(hosted))
	$(COMPILE) $(dependencies) -o $@ $(filter %.c %.o,$^) $(LIBS) $(LUA_LIBS)

fuzzers := $(basename $(notdir $(wildcard spec/fuzz/fuzz_*.c)))

.PHONY: fuzzers
fuzzers: $(addprefix $(OUT)/,$(fuzzers))

$(OUT)/fuzz_%: spec/fuzz/fuzz_%.c $(addprefix $(OUT)/,$(core) $(binding))
	$(COMPILE) $(dependencies) -fsanitize=fuzzer -o $@ \
	  $(filter %.c %.o,$^) $(LIBS) $(LUA_LIBS)

# Of the benchmark's C files, NAME_lua.c is a Lua module, any other a program.
.PHONY: bench-build
bench-build: $(bench)

build/bench/%_lua.so: spec/bench/%_lua.c build/bench/flags
	$(COMPILE) $(dependencies) -fvisibility=default $(AS_MODULE) \
	  -o $@ $< $(LIBS)

build/bench/%: spec/bench/%.c build/bench/flags
	$(COMPILE) $(dependencies) -o $@ $< $(LIBS)

# What a directory was compiled with. When that changes, so does its content.
.PHONY: always
$(OUT)/flags build/bench/flags: always
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(LIBS)' >$@.now
	@cmp -s $@.now $@ && rm $@.now || mv $@.now $@

-include $(wildcard $(OUT)/*.d $(OUT)/core/*.d $(OUT)/lua/*.d build/bench/*.d)

# }==================================================================

# {==================================================================
# For C programs
# ===================================================================

# The library knows no Lua, so there is one for all of them.
lib_version := $(shell sed -n 's/^.define LODE_VERSION "\(.*\)"/\1/p' \
                 csrc/lode.h)
lib_major := $(firstword $(subst ., ,$(lib_version)))
lib_parts = liblode.a $(library) lode.pc
LIB = build/lib

.PHONY: lib
lib: ## liblode.a, liblode.so and lode.pc, in build/lib
	@$(SUBMAKE) OUT=$(LIB) MODE=lib LUA_CFLAGS= \
	  $(addprefix $(LIB)/,$(lib_parts))

$(LIB)/liblode.a: $(addprefix $(LIB)/,$(core))
	rm -f $@
	$(AR) rcs $@ $^

$(LIB)/$(library): $(addprefix $(LIB)/,$(core))
	$(COMPILE) $(AS_LIBRARY) -o $@ $^ $(LIBS)

# Where it is going to be stands in it.
$(LIB)/lode.pc: always
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(INST_CLIBDIR)' \
	  'includedir=$(INST_INCDIR)' '' 'Name: lode' \
	  'Description: Tables that live on disk' 'Version: $(lib_version)' \
	  'Libs: -L$${libdir} -llode' \
	  'Libs.private: $(strip $(LMDB_LIBS) -lm -pthread)' \
	  'Cflags: -I$${includedir}' >$@

.PHONY: amalgamation
amalgamation: build/amalgamation/lode.c ## one lode.c and lode.h of all of it

build/amalgamation/lode.c: .ci/amalgamate.lua .ci/embed.lua $(embedded) \
                           $(wildcard csrc/*.h csrc/*/*.[ch])
	@mkdir -p $(@D)
	$(LUA) .ci/amalgamate.lua $(@D) $(embedded)

# Programs of one C file and lode's one, compiled as others compile it.
AS_HOST = $(CC) -std=c11 -Wall -Wextra -pthread $(CFLAGS) $($(MODE)_flags) \
          -Ibuild/amalgamation $(LUA_CFLAGS) $(LMDB_CFLAGS)

$(OUT)/amalgamation.o: build/amalgamation/lode.c $(OUT)/flags
	$(AS_HOST) -c -o $@ $<

$(OUT)/host_%: examples/host/%.c $(OUT)/amalgamation.o
	$(AS_HOST) -o $@ $^ $(LIBS) $(LUA_LIBS)

$(OUT)/host_%: spec/host/%.c $(OUT)/amalgamation.o
	$(AS_HOST) -o $@ $^ $(LIBS) $(LUA_LIBS)

# }==================================================================

# {==================================================================
# Trying and testing
# ===================================================================

# The setup may bring what the rest of this file has looked for, so make
# begins anew after it.

.PHONY: try
try: ## sets up, builds, and runs an example on real data
	@.ci/setup try
	@$(SUBMAKE) -s example-unicode

.PHONY: test
test: ## sets up, builds, runs all specs, on Lua 5.4 and LuaJIT
	@.ci/setup test
	@MAKE='$(MAKE)' .ci/test '$(or $(LUAS),$(LUA) luajit)'

.PHONY: spec
spec: ## specs alone: make spec SPECS=spec/dict_spec.lua LUA=luajit
	@MAKE='$(MAKE)' .ci/test '$(LUA)' $(SPECS)

.PHONY: test-luas
test-luas: ## the specs on Lua 5.3 and 5.1 as well
	@.ci/setup lint
	@MAKE='$(MAKE)' .ci/test 'lua5.3 lua5.1' spec/*_spec.lua \
	  spec/model/*_spec.lua spec/soak/*_spec.lua

.PHONY: fulltest
fulltest: ## all tests in their long forms, and with sanitizers: hours
	@.ci/setup lint
	@MAKE='$(MAKE)' .ci/full '$(or $(LUAS),$(LUA) luajit)'

# The load is one of a release; all else of a build for test.
.PHONY: test-resty
test-resty: ## resty.lode in a real nginx, under load, and beneath libraries
	@.ci/setup resty
	@$(SUBMAKE) -s LUA=luajit LUA_VERSION=5.1 build
	@MAKE='$(MAKE)' .ci/test luajit spec/resty/*_spec.lua

# Pictures of the pages go to build/pages, to be looked at.
.PHONY: test-pages
test-pages: ## what lode shows in a browser, in headless Chromium
	@.ci/setup pages
	@mkdir -p build/pages
	@MAKE='$(MAKE)' .ci/test luajit spec/pages/*_spec.lua

# A build for each: LuaJIT's for Neovim and LÖVE, 5.3's for HAProxy, and for
# Prosody that of the specs.
.PHONY: test-engines
test-engines: ## lode in Neovim, HAProxy, Prosody and LÖVE
	@.ci/setup engines
	@$(SUBMAKE) -s LUA=luajit LUA_VERSION=5.1 MODE=test build
	@$(SUBMAKE) -s LUA=lua5.3 LUA_VERSION=5.3 MODE=test build
	@MAKE='$(MAKE)' .ci/test lua5.4 spec/engines/*_spec.lua

.PHONY: sanitize
sanitize: ## all specs on Lua 5.4 under ASan, LeakSanitizer and UBSan
	@.ci/setup test
	@MAKE='$(MAKE)' MODE=asan .ci/test '$(LUA)' $(SPECS)

.PHONY: sanitize-threads
sanitize-threads: ## the C tests under ThreadSanitizer
	@.ci/setup test
	@MAKE='$(MAKE)' MODE=tsan .ci/test '$(LUA)'

# What is new goes to build/fuzz, beside the corpus; a crash is a file there.
FUZZ_CC = clang
FUZZ_SECONDS = 20

.PHONY: fuzz
fuzz: ## fuzzes decoders and the page walker, each for FUZZ_SECONDS=20
	@$(SUBMAKE) -s MODE=fuzz CC='$(FUZZ_CC)' fuzzers
	@for f in $(fuzzers); do \
	  mkdir -p build/fuzz/$$f spec/fuzz/corpus/$$f && \
	  build/$(vm)-fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -timeout=5 \
	    -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
	    -artifact_prefix=build/fuzz/ build/fuzz/$$f \
	    spec/fuzz/corpus/$$f >build/fuzz/$$f.log 2>&1; status=$$?; \
	  awk -v name=$$f -v s=$(FUZZ_SECONDS) -v status=$$status '\
	    /number_of_executed_units/ { n = $$2 } \
	    END { print n " runs of " name " in " s " s, " \
	          (status == 0 ? "nothing" : "a crash") " found" }' \
	    build/fuzz/$$f.log; \
	  [ $$status = 0 ] || { cat build/fuzz/$$f.log; exit 1; }; done

.PHONY: seeded
seeded: ## puts deliberate bugs into copies of lode: does a test notice?
	@.ci/setup test
	@LUA=$(LUA) $(LUA) spec/seeded/run.lua

# This checkout's modules, before any that are installed.
HERE = LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;' \
       LUA_CPATH='$(CURDIR)/$(OUT)/?.so;;'

.PHONY: examples
examples: ## sets up, builds, and runs every example
	@.ci/setup test
	@$(SUBMAKE) -s each-example

.PHONY: each-example
each-example: $(patsubst examples/%.lua,example-%,$(wildcard examples/*.lua))
each-example: example-host

# In a directory of its own, which goes afterwards with what it has written.
define in_scratch
work=$$(mktemp -d) && cd "$$work" && $(1); \
  status=$$?; rm -rf "$$work"; exit $$status
endef

.PHONY: example-host
example-host: $(OUT)/host_game ## a game in C, with lode compiled in
	@echo '== examples/host/game.c'
	@$(call in_scratch,'$(abspath $<)' '$(CURDIR)/examples/host/mod.lua')

example-%: build
	@echo '== examples/$*.lua'
	@$(call in_scratch,$(HERE) $(LUA) '$(CURDIR)/examples/$*.lua')

.PHONY: test-rock
test-rock: ## installs the rock offline for each Lua, and uses it there
	@.ci/setup rock
	@.ci/rock

.PHONY: bench
bench: ## compares speed and size with LMDB used from C
	@.ci/setup bench
	@$(SUBMAKE) -s build bench-build
	$(HERE) LUA=$(LUA) $(LUA) spec/bench/run.lua

.PHONY: bench-cache
bench-cache: build ## hit ratios of capped dicts beside exact LRU and Belady
	@$(HERE) $(LUA) spec/bench/cache.lua

.PHONY: doc
doc: ## the reference, in build/doc/index.html
	@mkdir -p build/doc
	@$(LUA) .ci/doc/main.lua build/doc

.PHONY: layers
layers: ## fails on an include that goes up or out of its room
	@$(LUA) .ci/layers.lua csrc/*.h csrc/*/*.[ch]

.PHONY: lint
lint: ## luacheck, clang-tidy, and each warning of gcc and clang an error
	@.ci/setup lint
	@MAKE='$(MAKE)' .ci/lint

# }==================================================================

# {==================================================================
# Installing
# ===================================================================

PREFIX ?= /usr/local
INST_LUADIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
INST_LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_VERSION)

INST_CLIBDIR ?= $(PREFIX)/lib
INST_INCDIR ?= $(PREFIX)/include
INST_BINDIR ?= $(PREFIX)/bin
INST_MANDIR ?= $(PREFIX)/share/man/man1

modules := $(patsubst lua/%,%,$(lua_files))
lua_home = $(DESTDIR)$(INST_LUADIR)
c_home = $(DESTDIR)$(INST_LIBDIR)/lode
lib_home = $(DESTDIR)$(INST_CLIBDIR)
bin_home = $(DESTDIR)$(INST_BINDIR)
man_home = $(DESTDIR)$(INST_MANDIR)
headers := lode.h lode_time.h lode_check.h

.PHONY: install
install: install-lua install-lib install-command
install: ## under PREFIX (/usr/local), staged in DESTDIR

.PHONY: install-lib
install-lib: lib ## of these, what C programs take
	install -d '$(lib_home)/pkgconfig' '$(DESTDIR)$(INST_INCDIR)'
	install -m 644 $(LIB)/liblode.a '$(lib_home)'
	install -m 755 $(LIB)/$(library) '$(lib_home)'
	ln -sf $(library) '$(lib_home)/$(soname)'
	ln -sf $(soname) '$(lib_home)/$(linked)'
	install -m 644 $(LIB)/lode.pc '$(lib_home)/pkgconfig'
	install -m 644 $(addprefix csrc/,$(headers)) '$(DESTDIR)$(INST_INCDIR)'

.PHONY: install-lua
install-lua: build ## of these, what Lua programs take
	install -d '$(c_home)'
	install -m 755 $(OUT)/lode/core.so '$(c_home)/core.so'
	for m in $(modules); do \
	  install -d "$(lua_home)/$${m%/*}" && \
	  install -m 644 "lua/$$m" "$(lua_home)/$$m" || exit; done

# The command runs on the Lua that it is installed for.
.PHONY: install-command
install-command: ## of these, the command lode and its manual
	install -d '$(bin_home)' '$(man_home)'
	sed '1s|.*|#!$(if $(findstring /,$(LUA)),,/usr/bin/env )$(LUA)|' \
	  bin/lode >'$(bin_home)/lode'
	chmod 755 '$(bin_home)/lode'
	install -m 644 man/lode.1 '$(man_home)'

.PHONY: uninstall
uninstall: ## takes back what `make install` brought
	rm -f '$(bin_home)/lode' '$(man_home)/lode.1'
	rm -f '$(c_home)/core.so' $(patsubst %,'$(lib_home)/%',liblode.a \
	  $(library) $(soname) $(linked) pkgconfig/lode.pc) \
	  $(patsubst %,'$(DESTDIR)$(INST_INCDIR)/%',$(headers))
	-rmdir '$(c_home)'
	-for m in $(modules); do \
	  rm -f "$(lua_home)/$$m"; \
	  rmdir "$(lua_home)/$${m%/*}" 2>/dev/null; done; true

# }==================================================================

.PHONY: release
release: ## the files of a release, tried in a fresh root: needs root
	@.ci/setup release
	@MAKE='$(MAKE)' .ci/release

.PHONY: clean
clean: ## removes build/
	rm -rf build

.PHONY: help
help: ## this text
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | \
	  awk -F '|' '{ printf "make %-16s %s\n", $$1, $$2 }'
