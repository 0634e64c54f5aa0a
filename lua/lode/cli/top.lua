--- The command top: what goes on in a store, again and again.

local cli = require "lode.cli"
local guard = require "lode.cli.guard"
local stores = require "lode.cli.stores"
local terminal = require "lode.cli.terminal"

local bytes, grouped = terminal.bytes, terminal.grouped

-- The figures of one moment.
local function sample (store, open)
  local now = { time = os.time(), stats = store:stats(), collections = {} }
  for i, entry in ipairs(stores.list(store)) do
    local key = entry.kind .. " " .. entry.name
    if open[key] == nil then
      local ok, c = pcall(stores.collection, store, entry.name)
      open[key] = ok and c or false
    end
    local c = open[key]
    local ok, stats = pcall(function () return c.fn.stats(c.handle) end)
    if not ok then open[key] = nil end -- dropped, and perhaps made anew
    now.collections[i] = { name = entry.name, kind = entry.kind,
      stats = ok and stats or { entries = 0, size = 0, expired = 0 } }
  end
  table.sort(now.collections, function (a, b)
    if a.stats.size ~= b.stats.size then return a.stats.size > b.stats.size end
    return a.name < b.name
  end)
  return now
end

-- How much a figure has grown in a second, of two samples; nil at first.
local function rate (before, now, name)
  local span = before and now.time - before.time or 0
  if span <= 0 then return nil end
  return (now.stats[name] - before.stats[name]) / span
end

-- How many reads there were since, or in all, and how many found something.
local function reads_text (before, now)
  local a, b = before and before.stats or { reads = 0, found = 0 }, now.stats
  local reads, found = b.reads - a.reads, b.found - a.found
  local persec = rate(before, now, "reads")
  return ("%s%s"):format(persec and ("%.0f/s   "):format(persec) or "",
    reads > 0 and ("%.1f%% found"):format(100 * found / reads) or "")
end

local function signed (number)
  if not number then return "" end
  return ("%s%.0f/s"):format(number < 0 and "-" or "+", math.abs(number))
end

local function readers_text (stats)
  local text = ("%d of %d reader slots"):format(stats.readers,
    stats.max_readers)
  local oldest = stats.oldest_reader
  if not oldest then return text end
  return ("%s, the oldest reads a moment %s commits ago (process %d)")
    :format(text, grouped(oldest.commits), oldest.pid)
end

-- The lines of the screen.
local function lines_of (store, before, now)
  local stats = now.stats
  local commits = rate(before, now, "version")
  local lines = {
    ("lode %s   %s"):format(terminal.harmless(store:path()),
      os.date("%H:%M:%S", now.time)),
    "",
    ("commits   %14s   %s"):format(grouped(stats.version),
      commits and ("%.0f/s"):format(commits) or ""),
    ("reads     %14s   %s"):format(grouped(stats.reads),
      reads_text(before, now)),
    ("entries   %14s   %s"):format(grouped(stats.entries),
      signed(rate(before, now, "entries"))),
    ("due       %14s   %s"):format(grouped(stats.expired),
      stats.waiting > 0 and grouped(stats.waiting)
      .. " wait for their policy" or ""),
    ("file      %14s   used %s, free %s%s"):format(bytes(stats.file_size),
      bytes(stats.used_size), bytes(stats.free_size), stats.max_size
      and ", quota " .. bytes(stats.max_size) or ""),
    ("readers   %14s"):format(readers_text(stats)),
    "",
    ("%-4s %14s %10s %10s  %s"):format("kind", "entries", "due", "size",
      "name"),
  }
  for _, c in ipairs(now.collections) do
    lines[#lines + 1] = ("%-4s %14s %10s %10s  %s"):format(c.kind,
      grouped(c.stats.entries), grouped(c.stats.expired),
      bytes(c.stats.size), terminal.harmless(c.name))
  end
  return lines
end

-- Draws over what was there, so that nothing flickers.
local function draw (lines)
  local height, width = terminal.size()
  cli.put "\27[H"
  for i = 1, math.min(#lines, height - 1) do
    cli.put(lines[i]:sub(1, width), "\27[K\n")
  end
  cli.put "\27[J\27[7m q: quit \27[m"
  io.stdout:flush()
end

local function watch (store, seconds)
  local open, before = {}, nil
  local function step (key)
    local now = sample(store, open)
    draw(lines_of(store, before, now))
    if not before or now.time > before.time then before = now end
    local pressed = key(seconds)
    return pressed ~= "q" and pressed ~= "Q"
  end
  cli.put "\27[?1049h\27[?25l" -- a screen of its own, and no cursor
  local ok, problem = guard(terminal.with_keys, function (key)
    repeat until not step(key)
  end)
  cli.put "\27[?25h\27[?1049l"
  io.stdout:flush()
  if not ok and not cli.is_interrupt(problem) then error(problem, 0) end
end

local command = {
  usage = "PATH",
  least = 1, most = 1,
  text = [[
Shows live figures of a store: commits, reads and how many of them found
something, entries, what is due to be removed, the
file and its free space, readers, and the collections by size. q or Ctrl-C
ends it. Where standard output is no terminal it is shown once.
]],
  options = {
    { "once", nil, "print it once, and end" },
    { "interval", "SECONDS", "between two looks; 1 unless given" },
  },
  run = function (call)
    local seconds = cli.number(call, "interval", 0.1) or 1
    stores.with(stores.reading(call.args[1]), function (store)
      if call.options.once or not terminal.is(1) then
        local lines = lines_of(store, nil, sample(store, {}))
        return cli.put(table.concat(lines, "\n"), "\n")
      end
      watch(store, seconds)
    end)
  end,
}

return { top = command }
