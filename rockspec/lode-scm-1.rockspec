-- Built from a checkout: luarocks make rockspec/lode-scm-1.rockspec
rockspec_format = "3.0"
package = "lode"
version = "scm-1"
source = { url = "git+file://." }
description = {
  summary = "Lua tables that live on disk",
  detailed = [[
    Dicts and sets in an LMDB store, with the face of Lua tables:
    transactions, ordered keys, set algebra, several threads and processes.
  ]],
  license = "MIT",
  labels = { "database", "persistence", "lmdb" },
}
supported_platforms = { "unix" }
dependencies = { "lua >= 5.1, < 5.5" }
external_dependencies = { LMDB = { header = "lmdb.h", library = "lmdb" } }

-- The Makefile finds the sources and knows how they are linked. Of what it
-- installs a rock has the part for Lua: nothing goes outside of its tree.
build = {
  type = "make",
  install_target = "install-lua",
  install = { bin = { "bin/lode" } },
  copy_directories = { "man" },
  variables = {
    PREFIX = "$(PREFIX)",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LMDB_INCDIR = "$(LMDB_INCDIR)",
    LMDB_LIBDIR = "$(LMDB_LIBDIR)",
    INST_LUADIR = "$(LUADIR)",
    INST_LIBDIR = "$(LIBDIR)",
  },
}
