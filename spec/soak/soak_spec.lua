-- Constant churn by several processes, and what becomes of the file:
--
--   LODE_SOAK_SECONDS=60 make spec SPECS=spec/soak/soak_spec.lua
--
-- 3 seconds in `make test`, 600 in `make fulltest`.
--
-- Two bounds are kept, and derived from what may be alive: LIVE bytes, as
-- reckoned below.
--
-- The pages in use: LMDB leaves them a quarter full or more, which makes 4 *
-- LIVE. What has died stays until it is swept; sweeps that lag behind by
-- more than what is alive would never come up: 8 * LIVE. Each life has its
-- own key, so without sweeps this is passed after some seconds.
--
-- The file is that, and the pages that are free. A commit writes some new
-- ones, PAGES at most, and those that they replace are used again once no
-- reader needs them. So they are as many as commits come while one reader
-- looks at its moment: their rate times the longest step of any process
-- (longer than any look, waiting for a processor included), and once more,
-- as one look may begin where another ends. Nothing in this grows with time.

local has_luv = pcall(require, "luv")
local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set

local full = os.getenv "LODE_FULL" == "1"
local SECONDS = tonumber(os.getenv "LODE_SOAK_SECONDS")
  or (full and 600 or 3)

-- A process for each: who sweeps its writes.
local MODES = { "inline", "background", "off", "inline" }

local OVERHEAD = 64   -- bytes of key, record and indexes of an entry
local PAGES = 24      -- of a commit: four trees, three deep, and four entries
local PAGE = 4096     -- that are swept beside

local worker = [[
  local path, who, seconds, mode = ...
  local churn = require "soak.churn"
  print(("%d %d %d %d"):format(churn.run(path, who, seconds, mode)))
]]

local function live_bytes (churn)
  local own = churn.KEYS * #MODES
  local large, small = churn.VALUE + 2 * OVERHEAD, 2 * OVERHEAD
  return own * (2 * large + 2 * small) + churn.CAP * small
    + churn.BYTES * 2
end

describe("a store under constant churn", function ()
  helper.watch()

  local test = has_luv and it or pending

  test("answers right, and its file stays small",
    function ()
      local churn = require "soak.churn"
      local path, children = helper.path(), {}
      local live = live_bytes(churn)
      for who, mode in ipairs(MODES) do
        children[who] = helper.spawn(worker, path, who, SECONDS, mode)
      end
      local on = churn.open(path, "off")
      helper.owned(on.store)
      local first = on.store:version()
      local began, ends = churn.now_ms(), churn.now_ms() + SECONDS * 1000
      local file, used, longest, looks = 0, 0, 0, 0
      local pause = math.max(0.05, math.min(2, SECONDS / 100))
      while churn.now_ms() < ends do
        os.execute("sleep " .. pause)
        local before, n = churn.now_ms(), 0
        on.store:snapshot(function ()
          for _ in dict.pairs(on.mortal) do n = n + 1 end
        end)
        assert.is_true(n <= churn.KEYS * #MODES)
        longest = math.max(longest, churn.now_ms() - before)
        local stats = on.store:stats()
        file, used = math.max(file, stats.file_size),
          math.max(used, stats.used_size)
        assert.is_true(used <= 8 * live, ("%d bytes are in use, where %d "
          .. "may be alive"):format(used, live))
        looks = looks + 1
      end
      local steps, checks, begun = 0, 0, {}
      for who, child in ipairs(children) do
        local n, judged, sessions, slowest =
          child:finish():match "(%d+) (%d+) (%d+) (%d+)"
        steps, checks = steps + n, checks + judged
        begun[who] = tonumber(sessions)
        longest = math.max(longest, tonumber(slowest))
      end
      local rate = (on.store:version() - first) / (churn.now_ms() - began)
      local most = 8 * live + 2 * longest * rate * PAGES * PAGE
      assert.is_true(file <= most, ("the file has %.0f bytes, the bound is "
        .. "%.0f"):format(file, most))
      os.execute "sleep 1" -- longer than anything lives
      for _, d in ipairs { on.mortal, on.sessions, on.idle } do
        assert.are.equal(0, #d)
      end
      assert.are.equal(0, #on.members)
      assert.is_true(#on.capped <= churn.CAP + churn.SLACK)
      local _, more = on.store:maintain()
      assert.is_false(more)
      assert.are.equal(0, on.store:stats().expired)
      assert.are.equal(0, set.stats(on.members).expired)
      for who, n in ipairs(begun) do -- each session ended, and just once
        assert.are.equal(n, on.archive[who])
      end
      assert.is_true(on.store:check().ok)
      print(("\n%d steps of %d processes in %.0f s, %d answers checked")
        :format(steps, #MODES, SECONDS, checks))
      print(("%.0f KiB in use at most, where %.0f may be alive; bound %.0f")
        :format(used / 1024, live / 1024, 8 * live / 1024))
      print(("%.0f KiB of file at most, in %d looks; bound %.0f, for %.0f "
        .. "commits a second and %.0f ms of looking"):format(file / 1024, looks,
        most / 1024, rate * 1000, longest))
    end)
end)
