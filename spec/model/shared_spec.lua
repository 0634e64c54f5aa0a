-- Random steps of several processes of several threads each on one store,
-- each on keys of its own, against plain Lua tables (worker.lua).
--
--   LODE_SEED=17 LODE_SEEDS=1   one seed
--   LODE_FULL=1                 2,000 seeds of 2,000 operations
--
-- A seed gives each worker the same steps again, but not their order among
-- those of others.

local helper = require "support.helper"
local lode = require "lode"
local worker = require "model.worker"

local has_luv = pcall(require, "luv")

local full = os.getenv "LODE_FULL" == "1"
local FIRST = tonumber(os.getenv "LODE_SEED") or 1
local SEEDS = tonumber(os.getenv "LODE_SEEDS") or full and 2000 or 9
local STEPS = tonumber(os.getenv "LODE_OPS") or full and 2000 or 1000
local ROUNDS = 5
local PORTION = full and 20 or 5 -- seeds in one `it`

-- Runs workers first to last in threads of this process, if there is luv.
local source = [[
  local first, last, luv, path, seed, workers, rounds, steps, idle = ...
  local options = "return { path = %q, seed = %d, workers = %d, "
    .. "rounds = %d, steps = %d, idle = %s, number = %d, name = %q }"
  local function body (lua_path, lua_cpath, text, report)
    package.path, package.cpath = lua_path, lua_cpath
    local load_text = loadstring or load
    require("model.worker").work(load_text(text)(), report)
  end
  local threads = {}
  for number = first, last do
    local text = options:format(path, seed, workers, rounds, steps,
      tostring(idle), number, "worker " .. number)
    local report = path .. ".report." .. number
    if luv then
      threads[#threads + 1] = require("luv").new_thread(body, package.path,
        package.cpath, text, report)
    else
      body(package.path, package.cpath, text, report)
    end
  end
  for _, thread in ipairs(threads) do require("luv").thread_join(thread) end
]]

local function read_all (path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

-- What each worker has counted and lost is what the store has.
local function settle (path, seed, workers)
  local counted, deaths, failed = 0, {}, nil
  for number = 1, workers do
    local text = read_all(path .. ".report." .. number)
    local c, d = text:match "^done (%d+) (%d+)$"
    if not c and (not failed or not text:find "another worker") then
      failed = text
    end
    counted = counted + (tonumber(c) or 0)
    deaths["worker " .. number] = tonumber(d)
  end
  if failed then error(failed, 0) end
  local times = worker.times(seed, ROUNDS)
  local store = helper.open({ clock = function () return times[ROUNDS] end },
    path)
  local told = store:dict "deaths"
  store:dict("mourned", { on_expire = function (key)
    lode.dict.incr(told, key[1])
  end })
  store:maintain()
  local sum = 0
  for _, n in lode.dict.pairs(store:dict "counters") do sum = sum + n end
  assert.are.equal(counted, sum, "counters")
  for name, n in pairs(deaths) do
    assert.are.equal(n, told[name] or 0, "the dead of " .. name)
  end
  for name in store:collections() do
    local kind = (name == "first" or name == "second") and "set" or "dict"
    if name ~= "mourned" and name ~= "age" and name ~= "idle" then
      assert.are.equal(0, lode[kind].stats(store[kind](store, name)).expired,
        name .. ": expired")
    end
  end
  store:close()
end

-- Runs a seed in some processes of some threads.
local function run (seed, processes, threads)
  local workers, path = processes * threads, helper.path "shared"
  local steps = math.ceil(STEPS / workers / ROUNDS)
  local children = {}
  for i = 1, processes do
    children[i] = helper.spawn(source, (i - 1) * threads + 1, i * threads,
      threads > 1, path, seed, workers, ROUNDS, steps, processes == 1)
  end
  for _, child in ipairs(children) do child:finish() end
  settle(path, seed, workers)
end

local function describe_workers (processes, threads, seeds)
  describe(("the model, %d processes of %d threads"):format(processes,
    threads), function ()
    helper.watch()
    if threads > 1 and not has_luv then
      it("needs luv", function () pending "luv can't be required" end)
      return
    end
    local done, failures = 0, 0
    teardown(function ()
      io.write(("\n%d seeds of %d operations in %d processes of %d threads, "
        .. "%d failures\n"):format(done, STEPS, processes, threads,
          failures))
    end)
    for first = FIRST, FIRST + seeds - 1, PORTION do
      local last = math.min(first + PORTION, FIRST + seeds) - 1
      it(("agrees with lode, seeds %d to %d"):format(first, last),
        function ()
          for seed = first, last do
            local ok, e = pcall(run, seed, processes, threads)
            done = done + 1
            if not ok then
              failures = failures + 1
              error(("seed %d: %s\nrepeat with LODE_SEED=%d LODE_SEEDS=1 "
                .. "LODE_OPS=%d"):format(seed, tostring(e), seed, STEPS), 0)
            end
          end
        end)
    end
  end)
end

local third = math.ceil(SEEDS / 3)
describe_workers(3, 2, third)
describe_workers(1, 4, third)
describe_workers(4, 1, SEEDS - 2 * third)
