-- A queue of jobs by tuple keys { priority, number }: the first entry is the
-- one to do next. Any number of processes may put and take; each job is
-- taken once.
--
-- The store is the directory jobs.lode.

local lode = require "lode"
local dict = lode.dict

local store = lode.open "jobs.lode"
local jobs = store:dict("jobs", { key = "tuple" })
local counters = store:dict "counters"

local function put(priority, job)
  store:transaction(function ()
    jobs[{ priority, dict.incr(counters, "jobs") }] = job
  end)
end

dict.clear(jobs)
put(5, { send = "newsletter" })
put(1, { send = "password reset" })
put(5, { send = "invoice" })
put(1, { send = "alarm" })

local key, job = dict.first(jobs)
print(("next: %s, priority %d, %d waiting"):format(job.send, key[1], #jobs))

-- Taking a job and doing it are one transaction: a job that fails stays.
local ink = false
local function work()
  return store:transaction(function ()
    local at, todo = dict.popitem(jobs)
    if not at then return false end
    if todo.send == "invoice" and not ink then error "no ink" end
    print(("done: %d %s"):format(at[1], todo.send))
    return true
  end)
end

local ok, more
repeat
  ok, more = pcall(work)
  if not ok then
    print("failed, still waiting: " .. #jobs)
    ink = true
  end
until ok and not more
print("waiting at the end: " .. #jobs)
store:close()
