-- A pool of workers: threads (of lua-luv), each with a Lua state and a handle
-- of its own, take jobs out of one dict and put results into another. Who
-- takes a job moves it to `running` in the same transaction, so no two do it,
-- and none is lost: what a program finds in `running` when it starts was
-- being done when an earlier one ended.
--
-- The store is the directory pool.lode.

local has_luv, luv = pcall(require, "luv")
if not has_luv then
  print "This example needs luv (Debian: lua-luv)."
  return
end

local lode = require "lode"
local dict = lode.dict

local WORKERS, JOBS, SIZE = 4, 40, 5000

-- The life of a worker. A thread takes no upvalues with it, only arguments.
local function work(path, lua_path, lua_cpath, me)
  package.path, package.cpath = lua_path, lua_cpath
  local lode = require "lode" -- luacheck: ignore
  local dict = lode.dict -- luacheck: ignore
  local store = lode.open(path, { durability = "os" })
  local jobs, running = store:dict "jobs", store:dict "running"
  local results, done = store:dict "results", store:dict "done"

  local function take()
    local number, job = dict.popitem(jobs)
    if number then running[number] = job end
    return number, job
  end

  local function finish(number, primes)
    results[number], running[number] = primes, nil
    dict.incr(done, me)
  end

  local number, job = store:transaction(take)
  while number do
    local primes = 0 -- the work itself: nobody waits for it
    for n = job.from, job.to do
      local d = 2
      while d * d <= n and n % d ~= 0 do d = d + 1 end
      if n > 1 and d * d > n then primes = primes + 1 end
    end
    store:transaction(finish, number, primes)
    number, job = store:transaction(take)
  end
  store:close()
end

local path = "pool.lode"
local store = lode.open(path)
local jobs, results = store:dict "jobs", store:dict "results"
dict.put_many(jobs, store:dict "running") -- of a run that was ended
store:transaction(function ()
  for i = 1, JOBS do
    jobs[i] = { from = (i - 1) * SIZE + 1, to = i * SIZE }
  end
end)

local threads = {}
for i = 1, WORKERS do
  threads[i] = luv.new_thread(work, path, package.path, package.cpath, i)
end
for _, thread in ipairs(threads) do luv.thread_join(thread) end

local primes, shares = 0, 0
for _, n in dict.pairs(results) do primes = primes + n end
for _, n in dict.pairs(store:dict "done") do shares = shares + n end
print(("%d primes below %d"):format(primes, JOBS * SIZE + 1))
print(("%d jobs by %d workers, %d waiting, %d running"):format(shares,
  WORKERS, #jobs, #store:dict "running"))
store:close()
