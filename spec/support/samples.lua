-- Runs samples: Lua code in README.md and in the annotations, which say after
-- `-->` what they print. Used by readme_spec.lua and meta_spec.lua.

local assert = require "luassert"
local core = require "lode.core"
local helper = require "support.helper"
local lfs = require "lfs"

local samples = {}

-- The samples of a Markdown file: { line =, source = }, the line being that
-- of the source's first line.
---@param path string
---@return { line: integer, source: string }[]
function samples.of_page (path)
  local found, current, n = {}, nil, 0
  for line in assert(io.open(path)):lines() do
    n = n + 1
    if current and line == "```" then
      current.source = table.concat(current, "\n")
      found[#found + 1], current = current, nil
    elseif current then
      current[#current + 1] = line
    elseif line == "```lua" then
      current = { line = n + 1 }
    end
  end
  assert(not current, "a sample without an end")
  return found
end

local function found (library)
  if library == "utf8proc" then
    return core.normalize ~= nil and core.normalize "a" ~= nil
  end
  return (pcall(require, library))
end

-- What a sample needs that this Lua may lack: of the language, or of the
-- libraries in its comment "-- needs a, needs b". Nil: nothing.
---@param source string
---@return string?
function samples.lacks (source)
  if source:find "<close>" and not helper.has_close then return "<close>" end
  if source:find "math%.type" and not helper.integers then
    return "integers"
  end
  if source:find "[^.]pairs%(" and not helper.has_pairs then
    return "__pairs"
  end
  for library in (source:match "%-%- (needs[^\n]*)" or "")
      :gmatch "needs ([%w.]+)" do
    if not found(library) then return library end
  end
end

local function spaced (text)
  return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

-- The lines that a sample says it prints.
local function promised (source)
  local lines = {}
  for text in source:gmatch "%-%->([^\n]*)" do
    lines[#lines + 1] = spaced(text)
  end
  return lines
end

-- An environment as a program of its own has it, with `given` besides; what
-- is printed goes to `lines`.
local function environment (given, lines)
  local env = {
    print = function (...)
      local parts = { ... }
      for i = 1, select("#", ...) do parts[i] = tostring(parts[i]) end
      lines[#lines + 1] = spaced(table.concat(parts, " "))
    end,
  }
  for name, value in pairs(given) do env[name] = value end
  return setmetatable(env, { __index = _G })
end

local function compile (path, sample, before, env)
  local name = ("@%s:%d"):format(path, sample.line)
  -- So many empty lines first that messages have the file's line numbers.
  local source = ("\n"):rep(sample.line - 1) .. before .. sample.source
  if not setfenv then return assert(load(source, name, "t", env)) end
  return setfenv(assert(loadstring(source, name)), env)
end

-- Where there are no integers 1.0 is printed as 1.
local function without_floats (lines)
  local out = {}
  for i, line in ipairs(lines) do
    out[i] = line:gsub("(%d)%.0%f[%D]", "%1")
  end
  return out
end

-- Runs a sample of the file at `path`, and asserts that it prints what it
-- says. False: this Lua lacks what it needs.
---@param path string
---@param sample { line: integer, source: string }
---@param given table globals that it takes as given
---@param before string? code that it takes as given, on one line
---@return boolean ran
function samples.run (path, sample, given, before)
  if samples.lacks(sample.source) then return false end
  local lines = {}
  local env = environment(given, lines)
  compile(path, sample, before and before .. " " or "", env)()
  local wanted = promised(sample.source)
  if not helper.integers then wanted = without_floats(wanted) end
  assert.are.same(wanted, lines,
    ("the sample at %s:%d"):format(path, sample.line))
  return true
end

-- Runs fn in `directory`, which it makes; modules are found as before.
---@param directory string
---@param fn fun()
function samples.inside (directory, fn)
  local home, path, cpath = lfs.currentdir(), package.path, package.cpath
  local function absolute (templates)
    return ((";" .. templates):gsub(";([^/;][^;]*)", ";" .. home .. "/%1")
      :sub(2))
  end
  package.path, package.cpath = absolute(path), absolute(cpath)
  assert(lfs.mkdir(directory))
  assert(lfs.chdir(directory))
  local ok, e = pcall(fn)
  assert(lfs.chdir(home))
  package.path, package.cpath = path, cpath
  if not ok then error(e, 0) end
end

return samples
