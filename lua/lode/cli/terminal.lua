--- What the command `lode` does with a terminal: whether there is one, how
-- wide it is, progress bars, single keys. Plain Lua can't ask the system, so
-- `test` and `stty` do, which every POSIX system has.

local guard = require "lode.cli.guard"
local shell = require "lode.cli.shell"

local terminal = {}

local succeeds = shell.succeeds

---Whether a descriptor (0, 1 or 2) is a terminal.
---@param descriptor integer
---@return boolean
function terminal.is (descriptor)
  return succeeds(("test -t %d"):format(descriptor))
end

---Its lines and columns, 24 and 80 where nobody knows.
---@return integer lines
---@return integer columns
function terminal.size ()
  local pipe = io.popen "stty size 2>/dev/null </dev/tty"
  local text = pipe and pipe:read "*a" or ""
  if pipe then pipe:close() end
  local lines, columns = text:match "^(%d+) (%d+)"
  lines, columns = tonumber(lines), tonumber(columns)
  if not lines or lines < 2 then lines = tonumber(os.getenv "LINES") end
  if not columns or columns < 2 then
    columns = tonumber(os.getenv "COLUMNS")
  end
  return lines or 24, columns or 80
end

-- ==================================================================
-- Figures for people
-- ==================================================================

---12345678 as "12,345,678".
---@param number number a whole one
---@return string
function terminal.grouped (number)
  local text = ("%.0f"):format(number)
  local rest
  repeat
    text, rest = text:gsub("^(-?%d+)(%d%d%d)", "%1,%2")
  until rest == 0
  return text
end

---A number of bytes: "12.3 MiB".
---@param bytes number
---@return string
function terminal.bytes (bytes)
  if bytes < 1024 then return ("%.0f B"):format(bytes) end
  for _, unit in ipairs { "KiB", "MiB", "GiB", "TiB" } do
    bytes = bytes / 1024
    if bytes < 1024 or unit == "TiB" then
      return ("%.1f %s"):format(bytes, unit)
    end
  end
end

---A span: "0:07", "1:02:03", "12 days".
---@param seconds number
---@return string
function terminal.span (seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds >= 172800 then
    return ("%.0f days"):format(math.floor(seconds / 86400))
  end
  local hours, rest = math.floor(seconds / 3600), seconds % 3600
  local minutes = math.floor(rest / 60)
  if hours > 0 then
    return ("%d:%02d:%02d"):format(hours, minutes, rest % 60)
  end
  return ("%d:%02d"):format(minutes, rest % 60)
end

---Text without what would steer the terminal it is printed to.
---@param text string
---@return string
function terminal.harmless (text)
  return (text:gsub("%c", "?"))
end

-- ==================================================================
-- Progress
-- ==================================================================

-- A bar on standard error. It knows seconds, as os.time does, and the time
-- that the processor took, for what is over sooner.
local bar = {}
bar.__index = bar

local shown -- the bar that the terminal shows

---A progress bar; where standard error is no terminal it shows nothing.
---@param label string
---@param total number? of whatever is counted; nil: nobody knows
---@param unit (fun(n: number): string)? how a count is written
---@return table bar with `to(done)` and `finish()`
function terminal.progress (label, total, unit)
  local self = setmetatable({ label = label, total = total,
    unit = unit or terminal.grouped, visible = terminal.is(2),
    began = os.time(), clock = os.clock(), drawn = nil, done = 0 }, bar)
  if self.visible then
    self.columns = select(2, terminal.size())
    self:draw()
  end
  return self
end

function bar:elapsed ()
  return math.max(os.time() - self.began, os.clock() - self.clock)
end

-- The line, with the bar as wide as there is room for.
local function line_of (self)
  local elapsed, done = self:elapsed(), self.done
  local rate = elapsed > 0.005 and done / elapsed or nil
  local tail = {}
  if rate then tail[1] = self.unit(rate) .. "/s" end
  local total = self.total and math.max(self.total, done, 1)
  if not total then
    return ("%s  %s  %s"):format(self.label, self.unit(done),
      table.concat(tail))
  end
  if rate and rate > 0 then
    tail[#tail + 1] = terminal.span((total - done) / rate) .. " left"
  end
  local after = ("%3d%%  %s"):format(math.floor(100 * done / total),
    table.concat(tail, "  "))
  local room = math.min(40, self.columns - #self.label - #after - 8)
  if room < 4 then return self.label .. "  " .. after end
  local full = math.floor(room * done / total)
  return ("%s  [%s%s]  %s"):format(self.label, ("#"):rep(full),
    ("."):rep(room - full), after)
end

function bar:draw ()
  shown = self
  self.drawn = os.time()
  self.spent = os.clock()
  io.stderr:write("\r", line_of(self):sub(1, self.columns - 1), "\27[K")
  io.stderr:flush()
end

---So much is done; draws when that is due.
---@param done number
function bar:to (done)
  self.done = done
  if not self.visible then return end
  if os.time() ~= self.drawn or os.clock() - self.spent > 0.1 then
    self:draw()
  end
end

---Takes the bar off the terminal, after a last look at it.
function bar:finish ()
  if not self.visible then return end
  self:draw()
  terminal.clear()
end

---Calls fn with options that have a `progress` in bytes, as store:check and
---others take it, under a bar.
---@param label string
---@param fn fun(options: { progress: fun(done: integer, total: integer) })
---@return any result what fn gives
function terminal.with_bar (label, fn)
  local progress
  local ok, result = pcall(fn, { progress = function (done, total)
    progress = progress or terminal.progress(label, total, terminal.bytes)
    progress:to(done)
  end })
  if progress then progress:finish() end
  if not ok then error(result, 0) end
  return result
end

---Takes away the bar that is shown, if one is.
function terminal.clear ()
  if not shown then return end
  io.stderr:write "\r\27[K"
  io.stderr:flush()
  shown = nil
end

-- ==================================================================
-- Keys
-- ==================================================================

---Calls fn with single keys readable: inside of it, `key(seconds)` waits for
---one as long, in tenths, and gives it or nil. What the terminal was is
---restored also after an error. Where standard input is no terminal, or
---can't be set, `key` only waits.
---@param fn fun(key: fun(seconds: number): string?)
function terminal.with_keys (fn)
  local pipe = terminal.is(0) and io.popen "stty -g 2>/dev/null"
  local before = pipe and pipe:read "*l"
  if pipe then pipe:close() end
  local waits
  local function key (seconds)
    local tenths = math.max(1, math.min(255, math.floor(seconds * 10)))
    if before and waits ~= tenths then
      succeeds(("stty -icanon -echo min 0 time %d"):format(tenths))
      waits = tenths
    end
    if before then return io.read(1) end
    -- a signal meant for both of us ends the sleep, and only that
    if not succeeds(("sleep %.1f"):format(seconds)) then
      error("interrupted!", 0)
    end
  end
  local ok, problem = guard(fn, key)
  if before then succeeds("stty '" .. before .. "'") end
  if not ok then error(problem, 0) end
end

return terminal
