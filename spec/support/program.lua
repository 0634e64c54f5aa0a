-- Programs that a spec starts, waits for and ends, on luv's loop: servers on
-- loopback and what is asked of them.
--
--   local child = program.start("nvim", { "--headless" }, { cwd = "/tmp" })
--   program.wait(function () return child.output:find "ready" end)
--   program.stop(child, "sigterm")

local uv = require "luv"

local program = {}

-- Lets handles that were closed go: luv can't do that any more at the end of
-- the state.
local function drain ()
  for _ = 1, 3 do uv.run "nowait" end
end

-- Runs the loop until done() is true; false after so many seconds.
function program.wait (done, seconds)
  local late = false
  local timer = uv.new_timer()
  timer:start(math.floor((seconds or 10) * 1000), 0, function ()
    late = true
  end)
  local tick = uv.new_timer()
  tick:start(1, 5, function () end)
  while not done() and not late do uv.run "once" end
  timer:close()
  tick:close()
  drain()
  return not late
end

function program.sleep (seconds)
  program.wait(function () return false end, seconds)
end

-- This process's environment with what `changes` has, as luv wants it.
local function environment (changes)
  if not changes then return nil end
  local all, list = uv.os_environ(), {}
  for name, value in pairs(changes) do all[name] = value end
  for name, value in pairs(all) do list[#list + 1] = name .. "=" .. value end
  return list
end

-- Starts a program; options: `env`, variables to set, and `cwd`. Gives an
-- object with `pid`; with `code` once it has ended and all its output was
-- read; and with `output`, that so far. nil when it can't be started.
function program.start (file, arguments, options)
  options = options or {}
  local child = { output = "" }
  local pipes, open, code = { uv.new_pipe(false), uv.new_pipe(false) }, 3, nil
  local function ended ()
    open = open - 1
    if open == 0 then child.code = code end
  end
  local handle
  handle, child.pid = uv.spawn(file, {
    args = arguments, stdio = { nil, pipes[1], pipes[2] },
    env = environment(options.env), cwd = options.cwd,
  }, function (status, signal)
    code = signal ~= 0 and 128 + signal or status
    handle:close(ended)
  end)
  for _, pipe in ipairs(pipes) do
    if not handle then pipe:close() end
    if handle then
      pipe:read_start(function (_, data)
        if data then child.output = child.output .. data
        else pipe:close(ended) end
      end)
    end
  end
  return handle and child
end

-- Ends a child by a signal, SIGTERM unless told otherwise; after so many
-- seconds by force. Its code.
function program.stop (child, signal, seconds)
  if child.code then return child.code end
  local function over () return child.code end
  uv.kill(child.pid, signal or "sigterm")
  if not program.wait(over, seconds or 10) then
    uv.kill(child.pid, "sigkill")
    program.wait(over)
  end
  return child.code
end

-- Runs a program to its end: what it printed, and its code. Meanwhile the
-- loop runs, and its timers.
function program.run (file, arguments, options)
  local child = program.start(file, arguments, options)
  if not child then return "", -1 end
  local function over () return child.code end
  if not program.wait(over, options and options.seconds or 60) then
    program.stop(child, "sigkill")
  end
  return child.output, child.code
end

-- The pids of the processes that a process has made.
function program.children (pid)
  local file = io.open(("/proc/%d/task/%d/children"):format(pid, pid))
  local pids = {}
  for child in (file and file:read "*a" or ""):gmatch "%d+" do
    pids[#pids + 1] = tonumber(child)
  end
  if file then file:close() end
  return pids
end

-- Whether a process runs, by its pid; one that waits to be buried doesn't.
function program.is_alive (pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  local state = file and file:read("*a"):match "%) (%a)"
  if file then file:close() end
  return state ~= nil and state ~= "Z"
end

-- Where a program is; nil when it isn't installed.
function program.path (name)
  local found, code = program.run("sh", { "-c", "command -v " .. name })
  return code == 0 and found:match "^%S+" or nil
end

-- A port of loopback that nobody listens on.
function program.free_port ()
  local socket = uv.new_tcp()
  assert(socket:bind("127.0.0.1", 0))
  local port = socket:getsockname().port
  socket:close()
  drain()
  return port
end

local connection = {}
connection.__index = connection

-- A connection to a port of loopback: `text`, what came and was not taken
-- yet; `closed`, whether the other side has ended it or never took it.
function program.connect (port)
  local self = setmetatable({ text = "", closed = false,
    socket = uv.new_tcp() }, connection)
  local up = false
  self.socket:connect("127.0.0.1", port, function (failure)
    up, self.closed = true, failure ~= nil
    if failure then return end
    self.socket:read_start(function (_, data)
      if data then self.text = self.text .. data else self.closed = true end
    end)
  end)
  program.wait(function () return up end, 20)
  return self
end

function connection:send (text)
  if not self.closed then self.socket:write(text) end
end

-- Waits for a pattern: takes what came up to its end, and gives what it
-- captures. An error when it doesn't come.
function connection:expect (pattern, seconds)
  program.wait(function ()
    return self.closed or self.text:find(pattern)
  end, seconds or 20)
  local _, last = self.text:find(pattern)
  if not last then
    error(("%q has not come, but:\n%s"):format(pattern, self.text), 2)
  end
  local taken = self.text:sub(1, last)
  self.text = self.text:sub(last + 1)
  return taken:match(pattern)
end

function connection:close ()
  self.socket:close()
  drain()
end

-- One HTTP request on a connection of its own: body and status; nil when the
-- connection failed. `headers` are lines, each with its end.
function program.request (port, method, path, body, headers)
  local c = program.connect(port)
  c:send(("%s %s HTTP/1.0\r\nHost: test\r\nContent-Length: %d\r\n%s\r\n%s")
    :format(method, path, #(body or ""), headers or "", body or ""))
  program.wait(function () return c.closed end, 20)
  c:close()
  local status, text = c.text:match "^HTTP/1%.%d (%d+).-\r\n\r\n(.*)$"
  return text, tonumber(status)
end

return program
