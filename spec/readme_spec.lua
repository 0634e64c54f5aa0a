-- Every Lua sample of README.md runs, in order and in one directory, and
-- prints what the page says it prints (the text after `-->`).

local core = require "lode.core"
local helper = require "support.helper"
local lfs = require "lfs"
local lode = require "lode"

-- The samples of the page: { line =, source = }.
local function samples (name)
  local found, current, n = {}, nil, 0
  for line in assert(io.open(name)):lines() do
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
-- libraries in its comment "-- needs a, needs b".
local function lacks (source)
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

-- An environment as a program of its own has it, after the page's lines
-- that the samples take as given; what is printed goes to `lines`.
local function environment (store, lines)
  local env = {
    lode = lode, dict = lode.dict, set = lode.set, store = store,
    print = function (...)
      local parts = { ... }
      for i = 1, select("#", ...) do parts[i] = tostring(parts[i]) end
      lines[#lines + 1] = spaced(table.concat(parts, " "))
    end,
  }
  return setmetatable(env, { __index = _G })
end

local function compile (sample, env)
  local name = "@README.md:" .. sample.line
  -- So many empty lines first that messages have the page's line numbers.
  local source = ("\n"):rep(sample.line - 1) .. sample.source
  if not setfenv then return assert(load(source, name, "t", env)) end
  return setfenv(assert(loadstring(source, name)), env)
end

-- Runs fn in `directory`; modules are found as before.
local function inside (directory, fn)
  local home, path, cpath = lfs.currentdir(), package.path, package.cpath
  local function absolute (templates)
    return ((";" .. templates):gsub(";([^/;][^;]*)", ";" .. home .. "/%1")
      :sub(2))
  end
  package.path, package.cpath = absolute(path), absolute(cpath)
  assert(lfs.chdir(directory))
  local ok, e = pcall(fn)
  assert(lfs.chdir(home))
  package.path, package.cpath = path, cpath
  if not ok then error(e, 0) end
end

describe("README.md", function ()
  helper.watch()

  it("has samples that run and print what it says", function ()
    local all = samples "README.md"
    local directory, ran = helper.path "readme", 0
    assert(lfs.mkdir(directory))
    inside(directory, function ()
      local store = helper.owned(lode.open "samples")
      for _, sample in ipairs(all) do
        local lines = {}
        if not lacks(sample.source) then
          ran = ran + 1
          compile(sample, environment(store, lines))()
          if helper.integers then
            assert.are.same(promised(sample.source), lines,
              "the sample at line " .. sample.line)
          end
        end
      end
      store:close()
    end)
    assert.is_true(ran > 10)
  end)

  it("gives the two commands, each on a line of its own", function ()
    local text = assert(io.open "README.md"):read "*a"
    assert.is_truthy(text:find "\nmake try\n")
    assert.is_truthy(text:find "\nmake test\n")
  end)
end)
