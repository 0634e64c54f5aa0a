-- What the specs of engines share: where this checkout's modules are, for
-- programs that bring a Lua of their own, and whether those are installed.

local assert = require "luassert"
local busted = require "busted"
local program = require "support.program"

local engine = {}

engine.root = program.run("pwd", {}):match "^[^\n]+"

-- The environment in which a program finds the build for this Lua: "luajit",
-- "lua5.3", "lua5.4"; and what is in `more`.
function engine.environment (vm, more)
  local root = engine.root
  local all = {
    LUA_PATH = ("%s/lua/?.lua;%s/lua/?/init.lua;%s/spec/engines/?.lua;;")
      :format(root, root, root),
    LUA_CPATH = ("%s/build/%s-test/?.so;;"):format(root, vm),
    LC_ALL = "C",
  }
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

-- An `it` that is skipped where one of these programs isn't installed.
function engine.it_with (...)
  local lacking
  for _, name in ipairs { ... } do
    lacking = lacking or not program.path(name) and name
  end
  return function (name, fn)
    if lacking then busted.pending(("%s: no %s"):format(name, lacking))
    else busted.it(name, fn) end
  end
end

-- Asserts that the module for this Lua brings no Lua of its own: one beside
-- the engine's would have another state.
function engine.brings_no_lua (vm)
  local needed = program.run("readelf", { "-d",
    ("build/%s-test/lode/core.so"):format(vm) })
  assert.is_truthy(needed:find("liblmdb", 1, true), needed)
  assert.is_nil(needed:lower():find("liblua", 1, true), needed)
end

function engine.write (path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

function engine.read (path)
  local file = io.open(path)
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return text
end

return engine
