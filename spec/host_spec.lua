-- What C programs get: the library, by its pkg-config file; all of lode in
-- one file; and the examples that are made of them. For the Lua that runs
-- this; in the long form for every Lua, by gcc and by clang.

local helper = require "support.helper"
local process = require "support.process"

local full = os.getenv "LODE_FULL" == "1"

-- What a command prints, and whether it ended well. It runs as from a
-- terminal: without what `make test` has set for the specs.
local function run (command, ...)
  local pipe = assert(io.popen("{ env -u MAKEFLAGS -u MFLAGS -u LD_PRELOAD "
    .. command:format(...) .. "; echo status $?; } 2>&1"))
  local text = pipe:read "*a"
  pipe:close()
  local said, status = text:match "^(.*)status (%d+)\n$"
  return said, status == "0"
end

local function expect_run (...)
  local said, well = run(...)
  assert(well, said)
  return said
end

local function has (command)
  return select(2, run("sh -c 'command -v %s'", command))
end

local function percentiles (text, what)
  local median, most, longest = text:match(what
    .. " +median ([%d.]+), 95%% ([%d.]+), longest ([%d.]+) ms")
  return tonumber(median), tonumber(most), tonumber(longest)
end

local lua = process.interpreter
local vm = lua:match "[^/]+$"
local out = "build/" .. vm .. "-host"

local function make_host (target)
  expect_run("make -s LUA=%s CFLAGS='-O0 -Werror' OUT=%s %s/%s", lua, out,
    out, target)
end

describe("the Makefile, and so the rock", function ()
  helper.watch()

  it("knows every source", function ()
    local said = expect_run("make -n -B install LUA=%s DESTDIR=%s", lua,
      helper.path "root")
    local n = 0
    for path in expect_run("find csrc lua -name '*.c' -o -name '*.lua'")
        :gmatch "[^\n]+" do
      n = n + 1
      local installed = path:match "^lua/(.*)"
      assert(path == "csrc/lua/lhost.c" -- which is no part of the module
        or installed and said:find("[ =]" .. installed:gsub("%p", "%%%0")
          .. "[ ;]")
        or said:find(" " .. path .. "\n", 1, true), path)
    end
    assert.is_true(n > 60)
  end)
end)

describe("liblode", function ()
  helper.watch()

  local function installed ()
    local root = helper.path "root"
    expect_run("make -s install-lib CFLAGS=-O0 LIB=build/lib-host "
      .. "DESTDIR=%s PREFIX=/usr", root)
    return root
  end

  it("is found by pkg-config, shared and static, with its headers",
    function ()
      if not has "pkg-config" then return pending "there is no pkg-config" end
      local root = installed()
      local flags = ("$(PKG_CONFIG_PATH=%s/usr/lib/pkgconfig "
        .. "PKG_CONFIG_SYSROOT_DIR=%s pkg-config %%s lode)"):format(root, root)
      local wants = "bergen: Atlantis\nbergen: Norway\natlantis: none\n"
        .. "towns: aarhus bergen oslo\nports: bergen\n"
      expect_run("cc -std=c11 -Wall -Wextra -Wpedantic -Werror "
        .. "examples/c_store.c %s -o %s/shared",
        flags:format "--cflags --libs", root)
      assert.are.equal(wants, expect_run(
        "LD_LIBRARY_PATH=%s/usr/lib %s/shared %s/a", root, root, root))
      expect_run("rm %s/usr/lib/*.so*", root)
      expect_run("cc -std=c11 examples/c_store.c %s -o %s/static",
        flags:format "--cflags --libs --static", root)
      assert.are.equal(wants, expect_run("%s/static %s/b", root, root))
    end)

  it("shows the names of its headers and no others", function ()
    local root = installed()
    local seen, declared = {}, {}
    local said = expect_run("nm -D --defined-only %s/usr/lib/liblode.so", root)
    for name in said:gmatch " T ([%w_]+)" do seen[name] = true end
    said = expect_run("cat %s/usr/include/lode.h "
      .. "%s/usr/include/lode_time.h %s/usr/include/lode_check.h",
      root, root, root)
    said = said:gsub("/%*.-%*/", ""):gsub("#ifdef LODE_TEST.-#endif", "")
    for name in said:gmatch "(lode_[%w_]+) %([^*]" do declared[name] = true end
    declared.lode_key_as_string = nil -- it is inline
    assert.are.same(declared, seen)
    assert.is_true(seen.lode_open)
  end)

  it("has headers that C++ takes, too, and no Lua in them", function ()
    if not has "g++" then return pending "there is no g++" end
    local root = installed()
    local path = helper.path() .. ".cc"
    local file = assert(io.open(path, "w"))
    file:write('#include <lode.h>\n#include "lode_lua.h"\n',
      "int main () { return lode_status_name(LODE_OK) == nullptr; }\n")
    file:close()
    expect_run("g++ -Wall -Wextra -Werror -nostdinc++ -I %s/usr/include "
      .. "-I csrc -fsyntax-only %s", root, path)
  end)
end)

describe("the amalgamation", function ()
  helper.watch()

  local function smoke (directory)
    local root = helper.path "root"
    expect_run("mkdir %s", root)
    return expect_run("sh -c 'p=$PWD; cd %s && $p/%s/host_smoke "
      .. "$p/spec/host/smoke.lua store'", root, directory)
  end

  it("compiles without a warning and runs with no file of lode's",
    function ()
      make_host "host_smoke"
      local said = smoke(out)
      assert.is_truthy(said:find "^ok\tLua 5")
    end)

  it("shows a linker what its header declares, and no more", function ()
    make_host "amalgamation.o"
    local header = assert(io.open("build/amalgamation/lode.h")):read "*a"
    local n = 0
    for name in expect_run("nm -g --defined-only %s/amalgamation.o", out)
        :gmatch " [TDBR] ([%w_]+)" do
      n = n + 1
      assert(header:find(name .. " %(") or name == "luaopen_lode_core", name)
    end
    assert.is_true(n > 80)
  end)

  it("does so on every Lua, by gcc and clang (long form)", function ()
    if not full then return pending "LODE_FULL=1 runs it" end
    local n = 0
    for _, cc in ipairs { "gcc", "clang" } do
      for _, other in ipairs { "lua5.4", "lua5.3", "lua5.1", "luajit" } do
        if has(cc) and has(other) then
          local to = ("build/%s-host-%s"):format(other, cc)
          expect_run("make -s LUA=%s CC=%s CFLAGS='-O2 -Werror' OUT=%s "
            .. "%s/host_smoke", other, cc, to, to)
          smoke(to)
          n = n + 1
        end
      end
    end
    print(n .. " compilers and Luas")
    assert.is_true(n > 0)
  end)
end)

describe("examples/host", function ()
  helper.watch()

  it("undoes the bad frame, saves, and keeps the budget of its sweeps",
    function ()
      make_host "host_game"
      local root = helper.path "root"
      expect_run("mkdir %s", root)
      local said = expect_run("sh -c 'p=$PWD; cd %s && $p/%s/host_game "
        .. "$p/examples/host/mod.lua'", root, out)
      assert.is_truthy(said:find "^frame 20 is undone: [^\n]*'os'")
      assert.is_nil(said:find "frame 21 is undone")
      local swept = tonumber(said:match "(%d+) entries swept")
      assert.is_true(swept > 5000, said)
      assert.is_truthy(said:find "save%-1 has 201 entries", said)
      -- the budget is 1 ms; this machine may be a slow one
      local median, most = percentiles(said, "without waits")
      assert.is_true(median < 2 and most < 6, said)
    end)
end)
