-- Random steps on the dicts and sets of two stores against plain Lua
-- tables, from a seed: transactions nested, with errors; reopening; several
-- handles; long keys that collide; algebra; entries that die by a clock that
-- is set forward and back, by policies, or by a cap, and are told of.
--
--   LODE_SEEDS=1000 LODE_OPS=5000   more, and longer
--   LODE_SEED=17 LODE_SEEDS=1       one seed again
--   LODE_FULL=1                     2,000 seeds of 2,000 operations
--
-- A seed that fails is run again and again with fewer of its steps, and the
-- fewest that still fail are shown.

local helper = require "support.helper"
local world = require "model.world"

local full = os.getenv "LODE_FULL" == "1"
local FIRST = tonumber(os.getenv "LODE_SEED") or 1
local SEEDS = tonumber(os.getenv "LODE_SEEDS") or full and 2000 or 150
local STEPS = tonumber(os.getenv "LODE_OPS") or full and 2000 or 1000
local PORTION = 20 -- seeds in one `it`
local SHRINKING = 20 -- seconds to look for fewer steps

-- What is wrong, and where: of the stack only what is the model's.
local function explain (e)
  local out = { tostring(e) }
  for line in debug.traceback("", 2):gmatch "[^\n]+" do
    if line:find "/model/" and not line:find "model_spec" then
      out[#out + 1] = line
    end
  end
  return table.concat(out, "\n")
end

-- Runs one seed, or the `wanted` of its steps. When it fails: what was
-- wrong, and the world as it was then.
local function run (seed, wanted)
  local self = world.new(seed, helper.path "model")
  local ok, e = xpcall(function () self:run(STEPS, wanted) end,
    explain)
  pcall(self.close, self)
  if not ok then return e, self end
end

-- The fewest of the steps that still fail, as far as they are found, with
-- what is wrong then and the world. Leaves out ever smaller parts.
local function shrink (seed, e, failed)
  local steps, last = {}, failed
  for i = 1, failed.at do steps[i] = i end
  local part, ends = math.ceil(#steps / 2), os.time() + SHRINKING
  while part >= 1 and os.time() < ends do
    local left_out = false
    for first = #steps - part + 1, 1 - part + 1, -part do
      local wanted, rest = { last = steps[#steps] }, {}
      for at, i in ipairs(steps) do
        if at < first or at >= first + part then
          wanted[i], rest[#rest + 1] = true, i
        end
      end
      local e2, self = nil, nil
      if #rest < #steps then e2, self = run(seed, wanted) end
      if e2 then steps, e, last, left_out = rest, e2, self, true end
      if os.time() >= ends then break end
    end
    if not left_out then part = math.floor(part / 2) end
  end
  return e, last, #steps
end

local function fail (seed, e, failed)
  local all, first = failed.steps, e:match "^[^\n]*"
  local shrunk, rest, n = shrink(seed, e, failed)
  local log = {}
  for i = math.max(1, #rest.log - 59), #rest.log do
    log[#log + 1] = rest.log[i]
  end
  error(("seed %d, operation %d: %s\nwith %d of its steps: %s\nthese: %s\n"
    .. "repeat with LODE_SEED=%d LODE_SEEDS=1 LODE_OPS=%d"):format(seed, all,
      first, n, shrunk, table.concat(log, "\n  "), seed, STEPS), 0)
end

describe("the model: dicts and sets as plain tables", function ()
  helper.watch()

  local done, failures = 0, 0
  teardown(function ()
    io.write(("\n%d seeds of %d operations, %d failures\n"):format(done,
      STEPS, failures))
  end)

  for first = FIRST, FIRST + SEEDS - 1, PORTION do
    local last = math.min(first + PORTION, FIRST + SEEDS) - 1
    it(("agrees with lode, seeds %d to %d"):format(first, last),
      function ()
        for seed = first, last do
          local e, failed = run(seed)
          done = done + 1
          if e then
            failures = failures + 1
            fail(seed, e, failed)
          end
        end
      end)
  end
end)
