-- Stores for specs of the functions that lode calls: with a clock of the
-- spec's own, swept only when told to, and with the log in an array.

local clocks = require "support.clock"
local helper = require "support.helper"
local core = require "lode.core"

local assert = require "luassert"

local hooked = {}

hooked.START = clocks.START

-- Opens a store; options given go before the others. Gives the store, its
-- clock, its log and its path.
---@param options table?
---@param path string? where a store is already
---@param clock table? one that another store has
function hooked.open (options, path, clock)
  local log = {}
  clock = clock or clocks.new()
  local given = {
    clock = clock.tell,
    maintenance = "off",
    log = function (level, message, fields)
      log[#log + 1] = { level = level, message = message, fields = fields }
    end,
  }
  for k, v in pairs(options or {}) do given[k] = v end
  local store, where = helper.open(given, path)
  return store, clock, log, where
end

-- What pcall gives of an assignment.
function hooked.try_write (d, key, value)
  return pcall(function () d[key] = value end)
end

-- A policy: so many seconds after the last write.
function hooked.after (seconds)
  return function (e) return e.mtime + seconds end
end

-- Asserts that records and indexes of a dict or set agree and, where it is
-- given, that the deadline index has so many calls.
function hooked.sound (coll, calls)
  if not core.test_indexes then return end
  local found, lost = core.test_indexes(coll)
  assert.are.equal(0, lost, "records and indexes don't agree")
  if calls then assert.are.equal(calls, found, "calls in the index") end
end

return hooked
