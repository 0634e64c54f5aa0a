-- cache.lua - hit ratios of capped dicts, on traces made here:
--
--   make bench-cache                          lode's dicts, some minutes
--   lua5.4 spec/bench/cache.lua --simulate    without lode, half a minute
--
-- Each row is a trace and a cap; a request that misses puts its key in. Two
-- columns are bounds: Belady's choice, which knows the future and which none
-- can beat, and exact LRU. The others are what `evict` names: lode's own, or
-- with --simulate each as the books have it.
--
-- It fails (exit status 1) where sieve is below exact LRU on a Zipf trace,
-- where "lru" is more than half a percentage point off exact LRU, and where
-- a dict is above its cap by more than it may be. Where another is as far
-- off the books, it says so. Random numbers come from a generator of its
-- own, so a trace is the same on every Lua.
--
-- Sieve and lfu agree until sieve's hand has gone round once: at the larger
-- cap a trace ends before that.

local simulate = arg[1] == "--simulate"
local base = os.getenv "LODE_BENCH_DIR" or "/dev/shm"
local root -- a directory of this run's own in it

local KEYS = 100000
local REQUESTS = 400000
local BATCH = 1000     -- requests in a transaction
local SLACK = 16       -- entries above its cap that a dict may have
local TOLERANCE = 0.5  -- percentage points that "lru" may be off exact LRU
local CAPS = { 1000, 10000 } -- 1% and 10% of the keys
local EVICT = { "sieve", "lru", "fifo", "lfu" }
local LINE = "%-20s %7s %7s %7s %7s %7s %7s %7s  %s\n"

-- ==================================================================
-- Traces: arrays of keys, which are integers from 1
-- ==================================================================

-- Lehmer's generator: numbers of ]0, 1[, by products that a double holds.
local function new_random(seed)
  local state = seed
  return function ()
    state = state * 48271 % 2147483647
    return state / 2147483647
  end
end

-- The numbers from 1 to n in a random order.
local function shuffled(n, random)
  local order = {}
  for i = 1, n do
    local j = math.floor(random() * i) + 1
    order[i] = order[j]
    order[j] = i
  end
  return order
end

-- Draws keys, of which the k-th most popular has the weight k^-skew. How
-- popular a key is doesn't show in its number.
local function new_zipf(skew, random)
  local sums, sum = {}, 0
  for k = 1, KEYS do
    sum = sum + k ^ -skew
    sums[k] = sum
  end
  local order = shuffled(KEYS, random)
  return function ()
    local wanted, low, high = random() * sum, 1, KEYS
    while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < wanted then low = middle + 1 else high = middle end
    end
    return order[low]
  end
end

local function zipf_trace(skew)
  return function ()
    local draw, trace = new_zipf(skew, new_random(1 + skew * 10)), {}
    for at = 1, REQUESTS do trace[at] = draw() end
    return trace
  end
end

-- Round and round over a tenth more keys than fit.
local function loop_trace(cap)
  local length, trace = math.floor(cap * 11 / 10), {}
  for at = 1, REQUESTS do trace[at] = (at - 1) % length + 1 end
  return trace
end

-- Zipf, and after each 8,000 requests of it 2,000 keys that come once.
local function scan_trace()
  local draw, trace, fresh = new_zipf(1.0, new_random(77)), {}, KEYS
  for at = 1, REQUESTS do
    if (at - 1) % 10000 < 8000 then
      trace[at] = draw()
    else
      fresh = fresh + 1
      trace[at] = fresh
    end
  end
  return trace
end

local traces = {
  { "Zipf 0.7", make = zipf_trace(0.7), zipf = true },
  { "Zipf 1.0", make = zipf_trace(1.0), zipf = true },
  { "Zipf 1.3", make = zipf_trace(1.3), zipf = true },
  { "loop of 1.1 caps", make = loop_trace },
  { "Zipf 1.0 and scans", make = scan_trace },
}

-- ==================================================================
-- Caches that keep a queue: fifo, lru, sieve
--
-- A simulation is function(cap, trace); it gives function(key, at), which
-- takes the request at that place of the trace and tells whether it hits.
-- ==================================================================

-- A list from the oldest key to the newest, linked both ways; 0 is beyond
-- either end.
local function new_queue()
  local newer, older = { [0] = 0 }, { [0] = 0 }
  local queue = { newer = newer }

  function queue.add(key)
    local last = older[0]
    newer[last], newer[key] = key, 0
    older[0], older[key] = key, last
  end

  function queue.remove(key)
    local after, before = newer[key], older[key]
    newer[before], older[after] = after, before
    newer[key], older[key] = nil, nil
  end

  return queue
end

-- `hit` is told of a hit on a key; `choose` gives the one that goes.
local function queued(hit, choose)
  return function (cap)
    local queue, size = new_queue(), 0
    return function (key)
      if queue.newer[key] then
        hit(queue, key)
        return true
      end
      if size < cap then size = size + 1 else queue.remove(choose(queue)) end
      queue.add(key)
      return false
    end
  end
end

local function oldest(queue) return queue.newer[0] end

local function renew(queue, key)
  queue.remove(key)
  queue.add(key)
end

local function mark(queue, key) queue[key] = true end

-- From the hand to the newest and round again: a key that was hit is spared
-- this time, the first that wasn't goes.
local function sieve(queue)
  local key = queue.hand or 0
  if key == 0 then key = queue.newer[0] end
  while queue[key] do
    queue[key] = nil
    key = queue.newer[key]
    if key == 0 then key = queue.newer[0] end
  end
  queue.hand = queue.newer[key]
  return key
end

-- ==================================================================
-- Caches that keep a rank for each key, and drop the lowest: lfu, Belady
-- ==================================================================

-- A binary heap, the lowest rank first.
local function new_heap()
  local ranks, keys, size = {}, {}, 0
  local heap = {}

  function heap.push(key, rank)
    size = size + 1
    local at = size
    while at > 1 do
      local above = (at - at % 2) / 2
      if ranks[above] <= rank then break end
      ranks[at], keys[at] = ranks[above], keys[above]
      at = above
    end
    ranks[at], keys[at] = rank, key
  end

  function heap.pop()
    local key, rank = keys[1], ranks[1]
    local last_key, last = keys[size], ranks[size]
    size = size - 1
    local at, below = 1, 2
    while below <= size do
      if below < size and ranks[below + 1] < ranks[below] then
        below = below + 1
      end
      if last <= ranks[below] then break end
      ranks[at], keys[at] = ranks[below], keys[below]
      at, below = below, below * 2
    end
    ranks[at], keys[at] = last, last_key
    return key, rank
  end

  return heap
end

-- `ranker` gives, for a trace, function(rank, at): the new rank of the key
-- that is requested there and had this one, nil when it wasn't in. Each
-- request pushes; what the heap has of a key with an older rank is void.
local function ranked(ranker)
  return function (cap, trace)
    local rank_of, heap, ranks, size = ranker(trace), new_heap(), {}, 0
    return function (key, at)
      local before = ranks[key]
      if not before and size == cap then
        local lowest, rank
        repeat lowest, rank = heap.pop() until ranks[lowest] == rank
        ranks[lowest] = nil
      elseif not before then
        size = size + 1
      end
      ranks[key] = rank_of(before, at)
      heap.push(key, ranks[key])
      return before ~= nil
    end
  end
end

-- By the number of requests since it came in, then by the last of them.
local function by_hits(trace)
  local unit = #trace + 1
  return function (rank, at)
    return (rank and rank - rank % unit or 0) + unit + at
  end
end

-- By the next request: the later, the lower.
local function by_next_use(trace)
  local next_use, seen = {}, {}
  for at = #trace, 1, -1 do
    next_use[at] = seen[trace[at]] or math.huge
    seen[trace[at]] = at
  end
  return function (_, at) return -next_use[at] end
end

local simulations = {
  belady = ranked(by_next_use),
  lru = queued(renew, oldest),
  fifo = queued(function () end, oldest),
  sieve = queued(mark, sieve),
  lfu = ranked(by_hits),
}

-- Percent of hits.
local function simulated(name, cap, trace)
  local request, hits = simulations[name](cap, trace), 0
  for at = 1, #trace do
    if request(trace[at], at) then hits = hits + 1 end
  end
  return hits / #trace * 100
end

-- ==================================================================
-- lode
-- ==================================================================

-- The requests from `first` to `last`; how many hit. A transaction runs it.
local function drive(get, d, trace, first, last)
  local hits = 0
  for at = first, last do
    local key = trace[at]
    if get(d, key) == nil then d[key] = true else hits = hits + 1 end
  end
  return hits
end

-- Percent of hits of a new dict, and how many entries it has at the end.
local function measured(lode, store, evict, cap, trace)
  local d = store:dict("cache", { max_entries = cap, evict = evict })
  local hits = 0
  for first = 1, #trace, BATCH do
    local last = math.min(first + BATCH - 1, #trace)
    hits = hits
      + store:transaction(drive, lode.dict.get, d, trace, first, last)
  end
  local size = lode.dict.len(d)
  store:drop "cache"
  return hits / #trace * 100, size
end

-- ==================================================================
-- The table
-- ==================================================================

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

-- What is wrong with a row, as an array of texts, and what only is worth a
-- look. `own`, `book`: percent of hits by name; `sizes`: of lode's dicts.
local function faults_of(trace, cap, own, book, sizes)
  local faults, remarks = {}, {}
  if trace.zipf and own.sieve < book.lru then
    faults[1] = "sieve is below exact LRU"
  end
  for _, name in ipairs(EVICT) do
    local off, size = own[name] - book[name], sizes[name]
    if math.abs(off) > TOLERANCE then
      local list = name == "lru" and faults or remarks
      list[#list + 1] = ("%s is %+.2f off"):format(name, off)
    end
    if size and size > cap + SLACK then
      faults[#faults + 1] = ("%s has %d entries"):format(name, size)
    end
    if book[name] > book.belady then
      faults[#faults + 1] = name .. " beats Belady"
    end
  end
  return faults, remarks
end

local function percent(number) return ("%.2f"):format(number) end

-- Prints a trace's row for one cap; true when nothing is wrong with it.
local function run(trace, cap, contend)
  local requests = trace.make(cap)
  local book, own, sizes = {}, {}, {}
  for name in pairs(simulations) do
    book[name] = simulated(name, cap, requests)
  end
  for _, name in ipairs(EVICT) do
    if contend then
      own[name], sizes[name] = contend(name, cap, requests)
    else
      own[name] = book[name]
    end
  end
  local faults, remarks = faults_of(trace, cap, own, book, sizes)
  local good = #faults == 0
  table.insert(remarks, 1, good and "ok" or table.concat(faults, ", "))
  io.write(LINE:format(trace[1], cap, percent(book.belady),
    percent(book.lru), percent(own.sieve), percent(own.lru),
    percent(own.fifo), percent(own.lfu), table.concat(remarks, "; ")))
  io.flush()
  return good
end

-- `contend` gives percent of hits and the entries at the end for a name of
-- EVICT, a cap and a trace; nil: the simulations stand for it.
local function run_all(contend)
  local good, all = 0, 0
  io.write(LINE:format("hits in percent", "cap", "Belady", "LRU", "sieve",
    "lru", "fifo", "lfu", ""))
  for _, trace in ipairs(traces) do
    for _, cap in ipairs(CAPS) do
      all = all + 1
      if run(trace, cap, contend) then good = good + 1 end
    end
  end
  print(("%d of %d rows as they should be"):format(good, all))
  return good == all
end

local function run_lode()
  root = output_of("mktemp -d " .. quoted(base .. "/lode-bench.XXXXXX"))
    :gsub("%s+$", "")
  local lode = require "lode"
  local store = lode.open(root .. "/store", { durability = "os" })
  local good = run_all(function (evict, cap, trace)
    return measured(lode, store, evict, cap, trace)
  end)
  store:close()
  return good
end

local ok, result = pcall(simulate and run_all or run_lode)
if root then output_of("rm -rf " .. quoted(root)) end
if not ok then io.stderr:write(tostring(result), "\n") end
os.exit(ok and result and 0 or 1)
