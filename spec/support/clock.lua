-- Stores whose time is what a spec says.

local assert = require "luassert"
local helper = require "support.helper"

local clock = {}

clock.START = 1000000 -- seconds: where each clock begins

-- A clock that stands still until its `now` is set; `tell` is the option.
function clock.new ()
  local c = { now = clock.START }
  function c.tell () return c.now end
  return c
end

local function open_by (c, options, path)
  local given = { clock = c.tell }
  for k, v in pairs(options or {}) do given[k] = v end
  return helper.open(given, path)
end

-- Opens a store with a clock of its own; both, and the store's path.
function clock.open (options)
  local c = clock.new()
  local store, path = open_by(c, options)
  return store, c, path
end

-- Closes the store and opens it once more.
function clock.reopen (store, c, options)
  local path = store:path()
  store:close()
  return (open_by(c, options, path))
end

-- Calls fn in a transaction of the store that is rolled back.
function clock.undone (store, fn)
  local marker = {}
  local ok, e = pcall(store.transaction, store, function ()
    fn()
    error(marker)
  end)
  assert.is_false(ok)
  if e ~= marker then error(e, 0) end
end

return clock
