-- Other processes that run Lua: the same interpreter, the same modules.
--
-- A child is a script whose source sees its arguments as `...` and talks
-- through its standard output: what it prints is read by the parent, line
-- by line or all at the end. The parent talks to it through files.

local process = {}

-- The interpreter that runs this: what the kernel says, or `arg`.
local function interpreter ()
  local pipe = io.popen("readlink -f /proc/$PPID/exe 2>/dev/null")
  local path = pipe and pipe:read "*l"
  if pipe then pipe:close() end
  if path and path ~= "" then return path end
  local first = 0
  while arg and arg[first - 1] do first = first - 1 end
  return arg and arg[first] or "lua"
end

process.interpreter = interpreter()

local function quoted (s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

local frame = [[
package.path, package.cpath = %q, %q
local function main (...)
%s
end
io.stdout:setvbuf "line"
local ok, message = xpcall(function () return main(%s) end, function (e)
  if type(e) == "table" then return tostring(e) end
  return debug.traceback(e)
end)
if not ok then print("failed: " .. tostring(message)) end
print(ok and "-- done" or "-- failed")
]]

local child = {}
child.__index = child

-- Starts `source` with arguments (strings and numbers); the script is
-- written to the file `path`. It runs until `finish`.
function process.spawn (path, source, ...)
  local arguments = {}
  for i, v in ipairs { ... } do
    arguments[i] = type(v) == "string" and ("%q"):format(v) or tostring(v)
  end
  local file = assert(io.open(path, "w"))
  file:write(frame:format(package.path, package.cpath, source,
    table.concat(arguments, ", ")))
  file:close()
  local command = ("echo $$; exec %s %s 2>&1"):format(
    quoted(process.interpreter), quoted(path))
  local pipe = assert(io.popen(command))
  local pid = assert(tonumber(pipe:read "*l"), "the child has no pid")
  return setmetatable({ pipe = pipe, pid = pid }, child)
end

-- The next line that the child prints; an error when it has ended.
function child:line ()
  local line = self.pipe:read "*l"
  if line == nil or line:find "^failed: " then
    error("the child ended: " .. (line or "") .. self.pipe:read "*a", 2)
  end
  return line
end

-- Waits for the child's end; what it printed since, without the last
-- newline. An error when it failed.
function child:finish ()
  if not self.pipe then return "" end
  local text = self.pipe:read "*a"
  self.pipe:close()
  self.pipe = nil
  local output = text:match "^(.-)\n?%-%- done\n$"
  if not output then error("the child failed:\n" .. text, 2) end
  return output
end

-- Ends the child at once, if it still runs.
function child:kill ()
  if not self.pipe then return end
  os.execute("kill -9 " .. self.pid .. " 2>/dev/null")
  self.pipe:close()
  self.pipe = nil
end

-- Source for children: wait_for(path) returns when the file is there.
process.wait_for = [[
local function wait_for (path)
  for _ = 1, 2000 do
    local file = io.open(path)
    if file then file:close() return end
    os.execute "sleep 0.01"
  end
  error("nobody made " .. path)
end
]]

-- Makes the empty file `path`: what a child waits for.
function process.signal (path)
  assert(io.open(path, "w")):close()
end

return process
