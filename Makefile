# relay: make run, make test; everything else is listed by `make help`.
#
#   B=DIR        where things are built (build)
#   CC=clang     another compiler
#   SAN=address,undefined | thread     build with sanitizers (use another B)
#   PREFIX, DESTDIR                    where `make install` puts things
#   V=1                                show the compiler's command lines

B ?= build
Q := $(if $(V),,@)
PREFIX ?= /usr/local
VERSION := 0.1.0

ROOMS := base wire ledger turn policy store net admin client spec server
CFLAGS ?= $(if $(SAN),-O1 -g1,-O2 -g)
CFLAGS_ALL := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wconversion -Werror -fno-strict-overflow -fstack-protector-strong \
              -fPIE -MMD -MP -Icore -DRELAY_VERSION='"$(VERSION)"' -DRELAY_DATA_DIR='"$(PREFIX)/share/relay"'
LDFLAGS_ALL := -pie -Wl,-z,relro,-z,now -pthread
ifeq ($(SAN),thread)
TOLD := $(B)/support/tsan.o
endif
ifdef SAN
CFLAGS_ALL += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS_ALL += -fsanitize=$(SAN) $(TOLD)
else
CFLAGS_ALL += -D_FORTIFY_SOURCE=2
endif

# a room's library may use the rooms below it, and one library of the world outside
LUA_CFLAGS = $(shell pkg-config --cflags lua5.4 2>/dev/null)
LUA_LIBS = $(shell pkg-config --libs lua5.4 2>/dev/null)
UNDER_base :=
UNDER_wire := base
UNDER_ledger := base
UNDER_turn := ledger wire base
UNDER_policy := turn ledger wire base
UNDER_store := base
UNDER_net := turn ledger wire base
UNDER_admin := base
UNDER_client := net turn ledger wire base
UNDER_spec := policy turn ledger wire base
UNDER_server := spec client admin net store policy turn ledger wire base
LIBS_base := -lcrypto -lunistring
LIBS_policy = $(LUA_LIBS) -ljansson -lmaxminddb -lm
LIBS_store := -lsqlite3
LIBS_net := -lssl -lev -lcurl -lcares -lbpf
LIBS_spec = $(LUA_LIBS) -lm
LIBS_admin := -lmicrohttpd -lcurl -ljansson
CFLAGS_policy = $(LUA_CFLAGS)
CFLAGS_spec = $(LUA_CFLAGS)

# made from db/*.sql
EXTRA_store := $(B)/store/migrations.o
# made from core/admin/pages
EXTRA_admin := $(B)/admin/pages.o

SOURCES = $(wildcard core/$(1)/*.c)
OBJECTS = $(patsubst core/%.c,$(B)/%.o,$(call SOURCES,$(1)))
LIB = $(B)/lib$(1).a
LINK = $(call LIB,$(1)) $(foreach r,$(UNDER_$(1)),$(call LIB,$(r)))
LINK_LIBS = $(LIBS_$(1)) $(foreach r,$(UNDER_$(1)),$(LIBS_$(r)))

UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*/*.c))
ENGINE := $(patsubst tests/engine/%.c,$(B)/engine/%,$(filter-out %/world.c %/world_client.c %/world_tcp.c,$(wildcard tests/engine/*.c)))
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/*.c))

.PHONY: all run example example-build example-test test check unit engine spec e2e asan tsan fuzz bench profile reference lint install deps clean help
.DEFAULT_GOAL := all

all: $(B)/relay $(B)/relay.8

help:
	@sed -n '/^## /s/^## //p' Makefile

## make            build/relay and its manual page
## make run        set up what is missing, build, serve with a generated user and secret
## make test       set up what is missing, build, run every test; ends with N passed, N failed, N skipped
## make example    the game lobby (examples/game-lobby): a relay, the lobby and its page on this machine; needs Node 20 or newer
## make example-test                    its tests
## make check      floors, file sizes, writable globals, the proof of the protocol, cppcheck, clang-tidy
## make unit|engine|spec|e2e            one altitude of the tests
## make asan|tsan  unit, engine and e2e tests under the sanitizers
## make fuzz       libFuzzer targets, a minute each (needs clang)
## make bench      beside coturn and a bare forwarder (tests/bench/README.md): [QUICK=1] [ONLY="LOAD..."] [AGAIN=1]; with OLD=relay beside another build
## make profile    the ten most expensive functions under each load: [ONLY="LOAD..."]
## make reference  lua/relay/meta/relay.lua and the reference of lua/README.md, from the rows of core/policy/reference.h; examples/tester.html
## make install    under PREFIX (and DESTDIR)
## make deps       install Debian's packages that the above need (as root)

define ROOM
$(call LIB,$(1)): $(call OBJECTS,$(1)) $(EXTRA_$(1))
	@rm -f $$@ && $(AR) rcs $$@ $$^
$(B)/$(1)/%.o: core/$(1)/%.c $(B)/stamp
	@mkdir -p $$(@D) && echo "  $(notdir $(CC)) $$<"
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS) $$(CFLAGS_$(1)) -c $$< -o $$@
$(B)/unit/$(1)/%: tests/unit/$(1)/%.c $(B)/support/test.o $(call LINK,$(1))
	@mkdir -p $$(@D) && echo "  $(notdir $(CC)) $$<"
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS) $$(CFLAGS_$(1)) -Itests/support $$< $(B)/support/test.o -Wl,--start-group $(call LINK,$(1)) -Wl,--end-group \
	    $(WRAP) $(LDFLAGS_ALL) $$(call LINK_LIBS,$(1)) -o $$@
endef
WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(foreach r,$(ROOMS),$(eval $(call ROOM,$(r))))

# the migrations as C: each line of SQL becomes a string literal
$(B)/store/migrations.c: $(wildcard db/*.sql) $(B)/stamp
	@mkdir -p $(@D)
	@{ echo '#include "store/migrate.h"'; echo 'const struct migration migrations[] = {'; \
	   for f in $(sort $(wildcard db/*.sql)); do n=$${f##*/}; \
	      echo "{$$(echo $${n%%_*} | sed 's/^0*//'), \"$$n\","; sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/    "&\\n"/' $$f; echo '},'; done; \
	   echo '};'; echo 'const int migration_count = sizeof migrations / sizeof *migrations;'; } > $@

$(B)/store/migrations.o: $(B)/store/migrations.c
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS) -c $< -o $@

# the pages likewise: NAME.html is served at /NAME, the dashboard at /
PAGES := $(sort $(wildcard core/admin/pages/*))
$(B)/admin/pages.c: $(PAGES) $(B)/stamp
	@mkdir -p $(@D)
	@{ echo '#include "admin/page.h"'; echo 'const struct page pages[] = {'; \
	   for f in $(PAGES); do n=$${f##*/}; path=/$${n%.html}; case $$n in *.html) media=text/html ;; *.css) media=text/css ;; *) media=text/javascript ;; esac; \
	      echo "{\"$${path%dashboard}\", \"$$media; charset=utf-8\","; sed 's/\\/\\\\/g; s/["?]/\\&/g; s/.*/    "&\\n"/' $$f; echo '},'; done; \
	   echo '{0}};'; } > $@

$(B)/admin/pages.o: $(B)/admin/pages.c
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS) -c $< -o $@

# objects are made again when the way to make them changes
$(B)/stamp: Makefile $(TOLD)
	@mkdir -p $(B) && echo '$(CC) $(SAN)' > $@

$(B)/support/tsan.o: tests/support/tsan.c
	@mkdir -p $(@D) && echo "  $(notdir $(CC)) $<"
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS) -c $< -o $@

$(B)/relay: $(call LINK,server)
	@echo "  link $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS) -Wl,--start-group $^ -Wl,--end-group $(LDFLAGS_ALL) $(call LINK_LIBS,server) -o $@

$(B)/relay.8: $(B)/relay
	$(Q)$(B)/relay --manual-page > $@

$(B)/support/test.o: tests/support/test.c $(B)/stamp
	@mkdir -p $(@D) && echo "  $(notdir $(CC)) $<"
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS) -Itests/support -c $< -o $@

WORLD := $(B)/engine/world.o $(B)/engine/world_client.o $(B)/engine/world_tcp.o
$(WORLD): $(B)/engine/%.o: tests/engine/%.c $(B)/stamp
	@mkdir -p $(@D) && echo "  $(notdir $(CC)) $<"
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS) -Itests/support -c $< -o $@

$(B)/engine/%: tests/engine/%.c $(WORLD) $(B)/support/test.o $(call LINK,turn)
	@mkdir -p $(@D) && echo "  $(notdir $(CC)) $<"
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS) -Itests/support $< $(WORLD) $(B)/support/test.o -Wl,--start-group $(call LINK,turn) -Wl,--end-group \
	    $(WRAP) $(LDFLAGS_ALL) $(call LINK_LIBS,turn) -o $@

# what the server's price is compared with
$(B)/bench/forwarder: $(wildcard tests/bench/forwarder*.[ch]) $(call LINK,wire)
	@mkdir -p $(@D) && echo "  $(notdir $(CC)) $@"
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS_ALL)) $(CFLAGS) $(filter %.c,$^) $(call LINK,wire) $(LDFLAGS_ALL) $(call LINK_LIBS,wire) -lbpf -o $@

$(B)/fuzz/%: tests/fuzz/%.c $(wildcard core/base/*.c core/wire/*.c)
	@mkdir -p $(@D)
	$(Q)clang -std=c11 -D_GNU_SOURCE -O1 -g -Icore -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $^ $(LIBS_base) -pthread -o $@

deps:
	@tests/support/deps

run:
	@RELAY_DEPS=run tests/support/deps
	@$(MAKE) --no-print-directory all
	@examples/run

test: deps
	@tests/run check unit engine spec e2e sanitizers

LOBBY := examples/game-lobby

example:
	@RELAY_DEPS=run tests/support/deps
	@$(MAKE) --no-print-directory all example-build
	@B=$(B) node $(LOBBY)/start.mjs

example-test: deps
	@tests/run example

example-build: $(LOBBY)/node_modules/.package-lock.json
	@cd $(LOBBY) && npm run -s check && npm run -s build

$(LOBBY)/node_modules/.package-lock.json: $(LOBBY)/package-lock.json
	@cd $(LOBBY) && npm ci && touch node_modules/.package-lock.json

check unit engine spec e2e sanitizers asan tsan: deps
	@tests/run $@

fuzz: $(FUZZ)
	@for f in $(FUZZ); do mkdir -p $$f.corpus; echo "== $$f"; $$f -max_total_time=60 -print_final_stats=0 $$f.corpus || exit 1; done

bench: deps all bench-programs
	@$(if $(OLD),tests/bench/compare $(OLD) $(B)/relay,tests/bench/run $(if $(QUICK),--quick) $(if $(AGAIN),--again) $(ONLY:%=--only %))

profile: deps all
	@tests/bench/profile $(ONLY:%=--load %)

reference: $(B)/relay examples/tester.html
	$(B)/relay stubs --out lua/relay/meta/relay.lua
	$(B)/relay stubs --format markdown --out $(B)/reference.md
	sed -i -e '/^<!-- reference: begin/,/^<!-- reference: end/{//!d}' -e '/^<!-- reference: begin/r $(B)/reference.md' lua/README.md

# the tester as one file, to be put on any web server or opened as it is
examples/tester.html: $(filter core/admin/pages/test%,$(PAGES))
	$(Q)awk 'function put(name, file, line) { print "<" name ">"; while ((getline line < file) > 0) print line; print "</" name ">" } \
	    /href="\/test.css"/ { put("style", "core/admin/pages/test.css"); next } \
	    match($$0, /src="\/test[a-z.]*"/) { put("script", "core/admin/pages/" substr($$0, RSTART + 6, RLENGTH - 7)); next } \
	    { print }' core/admin/pages/test.html > $@

lint:
	@tests/support/lint

unit-programs: $(UNIT)
engine-programs: $(ENGINE)
bench-programs: $(B)/bench/forwarder

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/relay/lua/relay/fake $(DESTDIR)$(PREFIX)/share/relay/lua/relay/spec $(DESTDIR)$(PREFIX)/share/relay/lua/relay/meta $(DESTDIR)$(PREFIX)/share/relay/policies
	install -m 755 $(B)/relay $(DESTDIR)$(PREFIX)/bin/relay
	install -m 644 $(B)/relay.8 $(DESTDIR)$(PREFIX)/share/man/man8/relay.8
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	$(B)/relay completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/relay
	$(B)/relay completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_relay
	install -m 644 $(wildcard lua/relay/*.lua) $(DESTDIR)$(PREFIX)/share/relay/lua/relay
	install -m 644 $(wildcard lua/relay/fake/*.lua) $(DESTDIR)$(PREFIX)/share/relay/lua/relay/fake
	install -m 644 $(wildcard lua/relay/spec/*.lua) $(DESTDIR)$(PREFIX)/share/relay/lua/relay/spec
	install -m 644 $(wildcard lua/relay/meta/*.lua) $(DESTDIR)$(PREFIX)/share/relay/lua/relay/meta
	install -m 644 core/admin/relay.proto $(DESTDIR)$(PREFIX)/share/relay
	install -m 644 $(wildcard policies/*.lua) $(DESTDIR)$(PREFIX)/share/relay/policies

clean:
	rm -rf $(B)

-include $(wildcard $(B)/*/*.d $(B)/unit/*/*.d)
