--- The command report: a store as a page, to be looked at.
--
-- How a store has grown can't be seen in the store, and a command that looks
-- writes nothing into it. So each report carries the figures of the runs
-- before it: one that is written over an earlier one takes them from there.

local cli = require "lode.cli"
local figures = require "lode.cli.figures"
local guard = require "lode.cli.guard"
local json = require "lode.cli.json"
local page = require "lode.cli.page"
local shell = require "lode.cli.shell"
local stores = require "lode.cli.stores"
local terminal = require "lode.cli.terminal"

local most_runs = 60

-- ==================================================================
-- The runs before
-- ==================================================================

-- The head of a report, where its history is, ends before this.
local head_size = 65536

local mark = '<meta name="generator" content="lode report">'

-- A run as it was kept, or nil where something isn't a figure.
local function run_of (kept)
  if type(kept) ~= "table" then return nil end
  local run = {}
  for _, field in ipairs { "time", "version", "entries", "used", "file" } do
    local figure = kept[field]
    if type(figure) ~= "number" or not (figure >= 0 and figure < 2^53) then
      return nil
    end
    run[field] = figure
  end
  return run
end

-- The beginning of the file at this place; nil where there is none. What is
-- no plain file, as a pipe, isn't read.
local function head_of (to)
  local quoted = shell.quoted(to)
  if not shell.succeeds("test -e " .. quoted) then return nil end
  if not shell.succeeds("test -f " .. quoted) then return "no file" end
  local file, why = io.open(to, "rb")
  if not file then error(why, 0) end
  local head = file:read(head_size)
  file:close()
  return head
end

-- What an earlier report at this place has kept: the path of its store, and
-- its runs. Any other file there is left alone, unless it is empty.
local function history_at (to)
  local history, head = { runs = {} }, head_of(to)
  if not head then return history end
  if not head:find(mark, 1, true) then
    error(("%s is there, and is no report of lode: it stays as it is")
      :format(to), 0)
  end
  local ok, kept = pcall(json.decode,
    head:match 'id="history">(.-)</script>' or "")
  if not ok or type(kept) ~= "table" then return history end
  history.path = type(kept.path) == "string" and kept.path or nil
  for _, run in ipairs(type(kept.runs) == "table" and kept.runs or {}) do
    history.runs[#history.runs + 1] = run_of(run)
  end
  return history
end

-- The runs to show: those before, if they are of this store, and this one.
local function runs_with (found, before)
  local runs = before.runs
  if before.path and before.path ~= found.path then
    cli.tell("the report there was on %s; its runs are left out",
      terminal.harmless(before.path))
    runs = {}
  end
  local stats = found.stats
  runs[#runs + 1] = { time = found.time, version = stats.version,
    entries = found.entries, used = stats.used_size, file = stats.file_size }
  while #runs > most_runs do table.remove(runs, 1) end
  return runs
end

-- ==================================================================
-- Writing
-- ==================================================================

-- Writes a file as a whole, or leaves what is there.
local function write (to, text)
  local new = to .. ".new"
  local ok, problem = guard(function ()
    local file = assert(io.open(new, "wb"))
    assert(file:write(text))
    assert(file:close())
    assert(os.rename(new, to))
  end)
  if ok then return end
  os.remove(new)
  error(cli.is_interrupt(problem) and problem or "can't write: " .. problem,
    0)
end

local command = {
  usage = "PATH",
  least = 1, most = 1,
  text = [[
Writes a page about a store, for a browser: collections by size, how long
entries have left, their age, the sizes of values, what the file is made of,
and how it has grown. The page stands alone and loads nothing; names of
collections are in it, keys and values are not. The figures are of one moment;
every entry is looked at, and no value decoded.

Written over an earlier report on the same store, it takes over the figures of
the runs before, 60 at most. Nothing is written into the store. A FILE that is
no report is left alone.
]],
  options = {
    { "output", "FILE", "where to; standard output unless given",
      short = "o" },
    { "json", nil, "print the figures as JSON, and no page" },
  },
  run = function (call)
    local to, as_json = call.options.output, call.options.json
    if to == "-" then to = nil end
    if to and as_json then cli.misuse "either --json or --output" end
    local before = to and history_at(to) or { runs = {} }
    local found = stores.with(stores.reading(call.args[1]), figures.of)
    if as_json then
      json.list(found.collections)
      return cli.put(json.encode(found), "\n")
    end
    local runs = runs_with(found, before)
    local html = page.of(found, json.encode { path = found.path,
      runs = runs }, runs)
    if to then write(to, html) else cli.put(html) end
  end,
}

return { report = command }
