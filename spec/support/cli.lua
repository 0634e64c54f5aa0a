-- The command `lode`, run as a process of its own by the interpreter that
-- runs the spec, with its modules.
--
--   local r = cli.run("get", path, "users", "ada")
--   r.status, r.out, r.err

local helper = require "support.helper"

local cli = {}

local function quoted (text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

cli.quoted = quoted

local function content (path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

cli.content = content

-- Writes a file; its path.
function cli.file (text)
  local path = helper.path "file"
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

-- The shell command that runs it with these words.
function cli.command (...)
  local parts = { ("LUA_PATH=%s LUA_CPATH=%s exec %s bin/lode"):format(
    quoted(package.path), quoted(package.cpath),
    quoted(helper.interpreter)) }
  for _, word in ipairs { ... } do parts[#parts + 1] = quoted(word) end
  return table.concat(parts, " ")
end

-- Runs it with what is at the path `input` (nil: nothing) as its input.
function cli.run_on (input, ...)
  local out, err = helper.path "out", helper.path "err"
  local pipe = assert(io.popen(("( %s ) >%s 2>%s <%s; echo $?"):format(
    cli.command(...), out, err, input or "/dev/null")))
  local status = tonumber(pipe:read "*l")
  pipe:close()
  return { status = status, out = content(out), err = content(err) }
end

function cli.run (...)
  return cli.run_on(nil, ...)
end

-- The output of a run that has to end with status 0.
function cli.output (...)
  local r = cli.run(...)
  assert(r.status == 0, ("status %d: %s"):format(r.status, r.err))
  return r.out
end

-- Whether `script` is here, and the system makes terminals for it: in a
-- container it may not.
local function has_terminals ()
  local text = helper.shell "script -qec 'echo made' /dev/null 2>&1"
  return text:find("made", 1, true) and not text:find("failed", 1, true)
end

-- Runs it on a terminal, which `script` makes; nil where there is none. What
-- the terminal got, as one text. `keys`: a shell command whose output is
-- typed.
function cli.on_terminal (keys, ...)
  if not has_terminals() then return nil end
  local path = cli.file(cli.command(...) .. "\n")
  local text = helper.shell(("{ %s; } | timeout 20 script -qec 'sh %s' "
    .. "/dev/null"):format(keys, path))
  return text
end

return cli
