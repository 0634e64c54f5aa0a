-- What every spec needs: places for stores that are removed afterwards,
-- stores that are closed afterwards, and the check that nothing is left.
--
--   local helper = require "support.helper"
--   describe("x", function ()
--     helper.watch()                      -- before and after each `it`
--     it("does y", function ()
--       local store, path = helper.open { durability = "os" }

local assert = require "luassert"
local busted = require "busted"
local core = require "lode.core"
local lode = require "lode"
local process = require "support.process"

local helper = {}

local root -- the directory of the spec that runs
local made -- how many paths it has taken
local opened -- the stores it has opened
local children -- the processes it has started

local function writable (directory)
  local name = os.tmpname()
  os.remove(name)
  name = directory .. "/" .. name:match("[^/]+$")
  local file = io.open(name, "w")
  if not file then return false end
  file:close()
  os.remove(name)
  return true
end

-- Where scratch goes: memory where there is some, as disks are slow.
local function scratch ()
  if writable "/dev/shm" then return "/dev/shm" end
  local name = os.tmpname()
  os.remove(name)
  return name:match("^(.*)/[^/]+$") or "."
end

local base = scratch()

local function begin ()
  local pipe = assert(io.popen("mktemp -d " .. base .. "/lode-spec.XXXXXX"))
  root = pipe:read "*l"
  pipe:close()
  assert(root and root ~= "", "no scratch directory")
  made, opened, children = 0, {}, {}
end

local function finish ()
  for _, child in ipairs(children) do child:kill() end
  for _, store in ipairs(opened) do pcall(store.close, store) end
  opened, children = {}, {}
  os.execute("chmod -R u+rwx " .. root .. "; rm -rf " .. root)
end

-- Blocks of memory and handles that the test build counts, after all that
-- can be collected has been; nil from a build that doesn't count.
function helper.live ()
  if not core.test_live then return nil end
  -- a compiled trace holds on to the closures that it was made for
  local jit = rawget(_G, "jit")
  if jit then jit.flush() end
  for _ = 1, 3 do collectgarbage() end
  return core.test_live()
end

-- Makes each `it` of the describe around begin in an empty directory and
-- end with all closed, removed and given back.
function helper.watch ()
  local blocks, handles
  busted.before_each(function ()
    begin()
    blocks, handles = helper.live()
  end)
  busted.after_each(function ()
    finish()
    if not blocks then return end
    local blocks_after, handles_after = helper.live()
    assert.are.equal(handles, handles_after, "handles left open")
    assert.are.equal(blocks, blocks_after, "blocks of memory left")
  end)
end

-- A path where nothing is yet; `name` is its last part.
function helper.path (name)
  made = made + 1
  return ("%s/%s%d"):format(root, name or "store", made)
end

-- Opens a store, to be closed after the `it`: at `path`, or a fresh one.
-- Without the wait for the disk unless `options` say a durability.
---@param options table?
---@param path string?
---@return table store, string path
function helper.open (options, path)
  local given = { durability = "os" }
  for k, v in pairs(options or {}) do given[k] = v end
  path = path or helper.path()
  local store = lode.open(path, given)
  opened[#opened + 1] = store
  return store, path
end

-- Has a store that was opened otherwise closed after the `it`.
function helper.owned (store)
  opened[#opened + 1] = store
  return store
end

-- Runs Lua source in a process of its own; see support/process.lua.
function helper.spawn (source, ...)
  local child = process.spawn(helper.path "script", source, ...)
  children[#children + 1] = child
  return child
end

-- Runs Lua source in a process of its own to its end; what it printed.
function helper.run (source, ...)
  return helper.spawn(source, ...):finish()
end

-- For sources: wait_for(path) waits until the parent has signalled it.
helper.wait_for = process.wait_for
helper.signal = process.signal
helper.interpreter = process.interpreter

-- A process that holds the writers' lock of the store at `path`, until the
-- function that comes with it is called.
function helper.holder (path)
  local stop = helper.path "stop"
  local child = helper.spawn(helper.wait_for .. [[
    local path, stop = ...
    require "lode".open(path):transaction(function ()
      print "holding"
      wait_for(stop)
    end)
  ]], path, stop)
  assert(child:line() == "holding")
  return child, function ()
    helper.signal(stop)
    child:finish()
  end
end

-- The output of a shell command, and whether it ended well.
function helper.shell (command)
  local pipe = assert(io.popen("{ " .. command
    .. "; } 2>&1; echo status=$?"))
  local text = pipe:read "*a"
  pipe:close()
  local output, status = text:match("^(.*)status=(%d+)\n$")
  return output, status == "0"
end

-- Asserts that fn(...) raises an error of this code, with all that each
-- error has; gives the error.
---@return table
function helper.fails (code, fn, ...)
  local ok, e = pcall(fn, ...)
  assert.is_false(ok, "no error, where " .. code .. " was expected")
  assert.are.equal("table", type(e), "not an error object: " .. tostring(e))
  assert.are.equal(code, e.code, tostring(e))
  assert.are.equal("string", type(e.message))
  assert.is_true(#e.message > 0)
  assert.is_truthy(tostring(e):find(e.message, 1, true), tostring(e))
  return e
end

-- Asserts that the error's text has each of these in it.
function helper.says (e, ...)
  for _, part in ipairs { ... } do
    assert.is_truthy(tostring(e):find(part, 1, true),
      ("%q isn't in %q"):format(part, tostring(e)))
  end
end

-- All that an iterator gives, as an array: of keys, or with `pairs` true
-- of { key, value }.
function helper.collect (pairwise, ...)
  local out = {}
  for k, v in ... do out[#out + 1] = pairwise and { k, v } or k end
  return out
end

-- The keys of a dict or range of it, in order.
function helper.keys (d, range)
  return helper.collect(false, lode.dict.keys(d, range))
end

-- The members of a set or expression, in order.
function helper.members (s, range)
  return helper.collect(false, lode.set.each(s, range))
end

-- Lua source as a function where this Lua can compile it; else nil.
function helper.compile (source)
  local load_text = loadstring or load
  return (load_text(source))
end

-- A value of syntax that only newer Luas have: helper.eval("7 // 2").
function helper.eval (expression, ...)
  return assert(helper.compile("return " .. expression))(...)
end

-- What this Lua can do.
helper.integers = math.type ~= nil
helper.has_pairs = not pcall(pairs, setmetatable({}, {
  __pairs = function () error "asked" end,
}))
helper.has_close = helper.compile "local x <close> = nil" ~= nil

return helper
