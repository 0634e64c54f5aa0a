-- run.lua - lode against LMDB used from C, in one run:
--
--   make bench                      some minutes
--   LODE_BENCH=quick make bench     10^5 entries only, one round: for CI
--   LODE_BENCH_ONLY=walk make bench the rows whose name has this in it
--
-- Each side is a process of its own (raw.c, lode_side.lua); the two take
-- turns, round by round, and what counts is the median of the rounds'
-- ratios. Times are processor times, system calls included, on tmpfs; but
-- for the row of durabilities, which is about the time that a disk takes:
-- its stores are in LODE_BENCH_DISK, or beside this checkout.
-- Instructions are callgrind's: the difference of two runs with different
-- numbers of operations, so that only the loop is counted.

local quick = os.getenv "LODE_BENCH" == "quick"
local rounds = quick and 1 or tonumber(os.getenv "LODE_BENCH_ROUNDS" or 5)
local only = os.getenv "LODE_BENCH_ONLY"
local base = os.getenv "LODE_BENCH_DIR" or "/dev/shm"
local disk = os.getenv "LODE_BENCH_DISK" or "build"
local root -- a directory of this run's own in it
local lua = os.getenv "LUA" or arg[-1] or "lua5.4"

local SIDES = {
  raw = "build/bench/raw",
  lode = lua .. " spec/bench/lode_side.lua",
}
local FEW, MANY = 20000, 60000 -- operations, where instructions are counted
local SMALL, LARGE = 100000, 1000000
local TINY, DUE = 10000, 1000 -- of sweeps
local LINE = "%-38s %4s %6s %8s %8s %8s %6s %8s  %s\n"

-- What to measure, in the order of the table. `store` is what is loaded
-- before the job (fresh: before each round, as the job changes it). `floor`
-- is the job of lode_side.lua that shows the cost without lode.
-- A ratio is raw / lode, so more is better, with `least` as its target;
-- of a walk and of what is cached it is lode / floor, of a size lode / raw,
-- and `most` its target, as for instructions and memory. Of a sweep the
-- floor is lode's as well: as many entries due among 10^4 of them, not
-- among n; where they lie all over the dict, more of its pages are written,
-- which is no work of lode's but of the memory and the system, so what has
-- a target there is the number of instructions. A row without a target is
-- there to be read.
local rows = {
  { "d[k], 100-byte string", kind = "time", raw = "get", lode = "get",
    floor = "floor_get", store = "load", least = 0.52 },
  { "d[k], 100-byte string", kind = "time", raw = "get", lode = "get",
    floor = "floor_get", store = "load", n = LARGE, least = 0.70 },
  { "d[k], 100-byte string", kind = "count", raw = "get", lode = "get",
    floor = "floor_get", store = "load", most = 4000 },
  { "d[k], small table", kind = "time", raw = "get", lode = "get",
    store = "load_tables" },
  { "d[k], small table", kind = "count", raw = "get", lode = "get",
    store = "load_tables", most = 8200 },
  { "d[k], absent key", kind = "time", raw = "absent", lode = "absent",
    store = "load", least = 0.65 },
  { "d[k], absent key", kind = "time", raw = "absent", lode = "absent",
    store = "load", n = LARGE },
  { "dict.has, absent key", kind = "time", raw = "absent", lode = "has",
    store = "load", least = 0.65 },
  { "dict.has, key that is there", kind = "time", raw = "get",
    lode = "has_present", store = "load", least = 0.65 },
  { "walk, loaded in order", kind = "walk", raw = "walk", lode = "walk",
    floor = "floor_walk", store = "load_ascending", most = 1.4 },
  { "walk, loaded at random", kind = "walk", raw = "walk", lode = "walk",
    floor = "floor_walk", store = "load", most = 1.4 },
  { "walk, loaded at random", kind = "walk", raw = "walk", lode = "walk",
    floor = "floor_walk", store = "load", n = LARGE, most = 1.4 },
  { "d[k] = v, own transaction", kind = "time", raw = "put", lode = "put",
    floor = "floor_put", store = "load", fresh = true },
  { "d[k] = v, own transaction", kind = "count", raw = "put", lode = "put",
    floor = "floor_put", store = "load", fresh = true, most = 13500 },
  { 'd[k] = v, "commit" / "behind"', kind = "disk", raw = "put_commit",
    lode = "put_behind", least = 20 },
  { "d[k] = v, transactions of 1,000", kind = "time", raw = "batch",
    lode = "batch", store = "load", fresh = true, least = 0.70 },
  { "d[k] = v, transactions of 1,000", kind = "time", raw = "batch",
    lode = "batch", store = "load", fresh = true, n = LARGE },
  { "put_many, ascending, from an iterator", kind = "time", raw = "append",
    lode = "append", n = LARGE, smaller = true, least = 0.40 },
  { "put_many, from a table, no order", kind = "time", raw = "load",
    lode = "append_table", n = LARGE, smaller = true },
  { "#(a * b), half shared, a member", kind = "time", raw = "merge",
    lode = "merge", store = "load_sets", least = 0.5 },
  { "bytes of file per entry", kind = "size", store = "load", most = 1.12 },
  { "d[k], 100-byte string, with a ttl", kind = "time", raw = "get",
    lode = "get_mortal", store = "load", lode_store = "load_mortal" },
  { "d[k] = v, with a ttl", kind = "time", raw = "put", lode = "put_mortal",
    store = "load", lode_store = "load_mortal", fresh = true },
  { "sweep of 1,000 due side by side", kind = "sweep",
    lode = "sweep_beside", store = "load_mortal", n = LARGE, smaller = true,
    most = 1.5 },
  { "sweep of 1,000 due all over", kind = "sweep_count", lode = "sweep",
    store = "load_mortal", n = LARGE, smaller = true, most = 1.5 },
  { "sweep of 1,000 due all over", kind = "sweep", lode = "sweep",
    store = "load_mortal", n = LARGE, smaller = true },
  { "cache hit, string; floor: Lua table", kind = "hit",
    lode = "hit_string", floor = "floor_hit_string", most = 4 },
  { "cache hit, table; floor: Lua table", kind = "hit", lode = "hit_table",
    floor = "floor_hit_table", most = 4 },
  { "the same string without a cache", kind = "hit", lode = "miss_string",
    floor = "floor_hit_string" },
  { "the same table without a cache", kind = "hit", lode = "miss_table",
    floor = "floor_hit_table" },
  { "bytes of file per entry", kind = "size", store = "load", n = LARGE,
    most = 1.12 },
  { "peak memory of a walk, KiB", kind = "memory", lode = "memory",
    store = "load", n = LARGE, smaller = true, most = 8192 },
}

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local round = 0

-- The output of a command, which must end well.
local function output_of(command)
  command = "LODE_BENCH_ROUND=" .. round .. " " .. command
  local pipe = assert(io.popen(command .. " 2>&1; echo status $?"))
  local text = pipe:read "*a"
  pipe:close()
  local output, status = text:match "^(.*)status (%d+)%s*$"
  if status ~= "0" then error(command .. "\n" .. text, 0) end
  return output
end

local function remove(path)
  output_of("rm -rf " .. quoted(path))
end

local function command_of(side, job, path, n, ops)
  return table.concat({ SIDES[side], job, quoted(path), n, ops }, " ")
end

-- Nanoseconds an operation, or what else the job prints.
local function measure(side, job, path, n)
  local text = output_of(command_of(side, job, path, n))
  return assert(tonumber(text), text)
end

-- Instructions of a job that does `ops` operations: all, or those of one
-- function and what it calls.
local function collected(ops, side, job, path, n, within)
  local text = output_of("valgrind --tool=callgrind "
    .. (within and "--toggle-collect=" .. within or "")
    .. " --callgrind-out-file=/dev/null "
    .. command_of(side, job, path, n, ops))
  return assert(tonumber(text:match "Collected : (%d+)"), text)
end

-- Instructions of one operation.
local function count(...)
  return (collected(MANY, ...) - collected(FEW, ...)) / (MANY - FEW)
end

local loaded = {} -- [path] = true: stores that rows have in common

-- The path of the side's store for this row, loaded where the row asks.
local function store_for(row, side, n)
  local load = side == "lode" and row.lode_store or row.store
  local path = string.format("%s/%s-%s-%d", root, side, load or "empty", n)
  if row.fresh or not load then
    path = path .. "-fresh"
    remove(path)
    loaded[path] = nil
  end
  if load and not loaded[path] then
    output_of(command_of(side, load, path, n))
    loaded[path] = true
  end
  return path
end

local function file_size(path)
  local file = assert(io.open(path .. "/data.mdb", "rb"))
  local size = file:seek "end"
  file:close()
  return size
end

local function median(list)
  table.sort(list)
  local middle = (#list + 1) / 2
  return (list[math.floor(middle)] + list[math.ceil(middle)]) / 2
end

-- One round of each kind of row: raw, lode, the floor, and the ratio.
local kinds = {}

function kinds.time(row, n)
  local raw = measure("raw", row.raw, store_for(row, "raw", n), n)
  local lode = measure("lode", row.lode, store_for(row, "lode", n), n)
  local floor = row.floor
    and measure("lode", row.floor, store_for(row, "raw", n), n)
  return raw, lode, floor, raw / lode
end

function kinds.walk(row, n)
  local raw, lode, floor = kinds.time(row, n)
  return raw, lode, floor, lode / floor
end

-- Nothing here is LMDB's.
function kinds.hit(row, n)
  local lode = measure("lode", row.lode, store_for(row, "lode", n), n)
  local floor = measure("lode", row.floor, store_for(row, "lode", n), n)
  return nil, lode, floor, lode / floor
end

function kinds.sweep(row, n)
  local function cost(entries)
    return measure("lode", row.lode, store_for(row, "lode", entries),
                   entries)
  end
  local many, few = cost(n), cost(TINY)
  return nil, many, few, many / few
end

-- Only what is done within store:maintain, in the second and third of three.
function kinds.sweep_count(row, n)
  local function cost(entries)
    local path = store_for(row, "lode", entries)
    local function instructions(ops)
      return collected(ops, "lode", row.lode, path, entries,
                       "lode_maintain")
    end
    return (instructions(3 * DUE) - instructions(DUE)) / (2 * DUE)
  end
  local many, few = cost(n), cost(TINY)
  return nil, many, few, many / few
end

-- Both sides are lode here, and each begins with an empty store.
function kinds.disk(row, n)
  local path = output_of("mktemp -d " .. quoted(disk .. "/bench-XXXXXX"))
    :gsub("%s+$", "")
  local ok, commit, behind = pcall(function ()
    return measure("lode", row.raw, path .. "/commit", n),
           measure("lode", row.lode, path .. "/behind", n)
  end)
  remove(path)
  if not ok then error(commit, 0) end
  return commit, behind, nil, commit / behind
end

function kinds.count(row, n)
  local raw = count("raw", row.raw, store_for(row, "raw", n), n)
  local lode = count("lode", row.lode, store_for(row, "lode", n), n)
  local floor = row.floor
    and count("lode", row.floor, store_for(row, "raw", n), n)
  return raw, lode, floor, lode
end

function kinds.size(row, n)
  local raw = file_size(store_for(row, "raw", n)) / n
  local lode = file_size(store_for(row, "lode", n)) / n
  return raw, lode, nil, lode / raw
end

function kinds.memory(row, n)
  local peak = measure("lode", row.lode, store_for(row, "lode", n), n)
  return nil, peak, nil, peak
end

local UNITS = { time = "ns", walk = "ns", disk = "ns", hit = "ns",
                sweep = "ns", count = "instr", sweep_count = "instr",
                size = "bytes", memory = "KiB" }
local REPEATED = { time = true, walk = true, disk = true, hit = true,
                   sweep = true }

local function number(x)
  if not x then return "" end
  return string.format(x < 100 and "%.1f" or "%.0f", x)
end

local function verdict(row, result)
  if row.least then return result >= row.least and "ok" or "MISSED" end
  if row.most then return result <= row.most and "ok" or "MISSED" end
  return ""
end

local function target(row)
  if row.least then return string.format(">= %.2f", row.least) end
  if not row.most then return "" end
  return string.format(row.most < 10 and "<= %.2f" or "<= %d", row.most)
end

-- Measures one row, prints it, and gives its verdict.
local function run(row)
  local n = row.n or SMALL
  if quick then n = math.min(n, SMALL) end
  local raws, lodes, floors, results = {}, {}, {}, {}
  for i = 1, REPEATED[row.kind] and rounds or 1 do
    round = i
    raws[i], lodes[i], floors[i], results[i] = kinds[row.kind](row, n)
  end
  local result = median(results)
  local ratio = result
  if row.kind == "count" then ratio = median(raws) / median(lodes) end
  local said = verdict(row, result)
  io.write(LINE:format(row[1], n == SMALL and "10^5" or "10^6",
    UNITS[row.kind], raws[1] and number(median(raws)) or "",
    floors[1] and number(median(floors)) or "",
    number(median(lodes)),
    row.kind == "memory" and "" or string.format("%.2f", ratio),
    target(row), said))
  io.flush()
  return said
end

-- Whether a directory is on no disk at all.
local function in_memory(directory)
  local ok, kind = pcall(output_of, "stat -f -c %T " .. quoted(directory))
  return ok and (kind:find "tmpfs" or kind:find "ramfs") ~= nil
end

-- Rows that a quick run leaves out: those of 10^6 entries, but where the
-- same is worth a look on fewer.
local function wanted(row, has_valgrind)
  if row.kind:find "count" and not has_valgrind then return false end
  if row.kind == "disk" and in_memory(disk) then return false end
  if only and not row[1]:find(only, 1, true) then return false end
  return not (quick and row.n == LARGE and not row.smaller)
end

local function main()
  root = output_of("mktemp -d " .. quoted(base .. "/lode-bench.XXXXXX"))
    :gsub("%s+$", "")
  local has_valgrind = pcall(output_of, "valgrind --version")
  if not has_valgrind then print "no valgrind: no instruction counts" end
  io.write(LINE:format("", "n", "", "raw C", "floor", "lode", "ratio",
                       "target", ""))
  local met, targets = 0, 0
  for _, row in ipairs(rows) do
    if wanted(row, has_valgrind) then
      local said = run(row)
      if said ~= "" then targets = targets + 1 end
      if said == "ok" then met = met + 1 end
    end
  end
  print(string.format("%d of %d targets met", met, targets))
end

local ok, message = pcall(main)
if root then remove(root) end
if not ok then error(message, 0) end
