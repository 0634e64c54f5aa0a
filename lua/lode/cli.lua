--- The command `lode`: what it is asked, and how it ends.
--
--     lode COMMAND PATH ...        lode help COMMAND
--
-- Each command is a table in a module under lode/cli: its arguments, its
-- options, its text, and `run(call)`, which gives the exit status or nil
-- for 0. Here are the table of them, the reading of arguments, help, and
-- what an error becomes.

local lode = require "lode"
local terminal = require "lode.cli.terminal"

local cli = {}

---How the command ends.
cli.status = {
  done = 0,        -- all went well
  no = 1,          -- absent, or refused
  usage = 2,       -- it was called wrongly
  damage = 3,      -- the store is damaged
  interrupted = 130, -- by Ctrl-C, as shells say it
}

local commands = {
  { "stat", "look", "figures of a store or a collection" },
  { "ls", "look", "the collections, or the keys of one" },
  { "get", "look", "the value under a key" },
  { "set", "change", "write an entry" },
  { "del", "change", "remove entries" },
  { "dump", "dump", "write a store to standard output, as JSON lines" },
  { "load", "load", "read what dump wrote from standard input" },
  { "check", "mend", "is the store whole?" },
  { "repair", "mend", "mend a store, or save what is sound into a new one" },
  { "compact", "mend", "give the free space of a file back" },
  { "backup", "mend", "copy a store while it is in use" },
  { "sweep", "change", "remove what has expired" },
  { "top", "top", "live figures" },
  { "report", "report", "a page about a store, for a browser" },
  { "repl", "repl", "Lua with every collection at hand" },
}

---The names of all commands, in the order of the help.
---@return string[]
function cli.names ()
  local names = {}
  for i, entry in ipairs(commands) do names[i] = entry[1] end
  return names
end

---@class lode.cli.command
---@field name string
---@field summary string
---@field usage string its arguments
---@field text string what it does
---@field options table[]? each { name, argument or nil, text }, and `short`:
--- its letter
---@field least integer arguments
---@field most integer?
---@field run fun(call: lode.cli.call): integer?

---The command of this name, or nil.
---@param name string
---@return lode.cli.command?
function cli.command (name)
  for _, entry in ipairs(commands) do
    if entry[1] == name then
      local command = require("lode.cli." .. entry[2])[name]
      command.name, command.summary = name, entry[3]
      return command
    end
  end
end

-- ==================================================================
-- Errors
-- ==================================================================

-- What is raised for a call that makes no sense.
local usage_error = {}
usage_error.__index = usage_error
usage_error.__tostring = function (e) return e.message end

---Raises an error that ends the command with status 2.
---@param format string
function cli.misuse (format, ...)
  error(setmetatable({ message = format:format(...) }, usage_error), 0)
end

-- An error that the module lode raised, as a line for people.
local function line_of (e)
  local where = e.path
  if where and tostring(e.message):find(where, 1, true) then where = nil end
  return ("%s: %s%s"):format(e.code, e.message,
    where and " (" .. where .. ")" or "")
end

-- The status and the line for what a command raised.
local function outcome (problem)
  if getmetatable(problem) == usage_error then
    return cli.status.usage, problem.message
  elseif type(problem) == "table" and problem.code then
    return problem.code == "CORRUPT" and cli.status.damage or cli.status.no,
      line_of(problem)
  end
  local text = tostring(problem)
  if text:find "interrupted!$" then
    return cli.status.interrupted, "interrupted"
  end
  return cli.status.no, text
end

---What an error is called in a message.
---@param problem any
---@return string
function cli.reason (problem)
  return (select(2, outcome(problem)))
end

---Whether an error is Ctrl-C.
---@param problem any
---@return boolean
function cli.is_interrupt (problem)
  return outcome(problem) == cli.status.interrupted
end

-- ==================================================================
-- Arguments
-- ==================================================================

---@class lode.cli.call
---@field args string[]
---@field options table<string, string|true>
---@field command lode.cli.command

local function option_of (command, name)
  if name == "help" then return { "help" } end
  for _, option in ipairs(command.options or {}) do
    if option[1] == name then return option end
  end
  cli.misuse("there is no option --%s; `lode help %s` has them all", name,
    command.name)
end

-- A word, where it is an option's letter as its name: "-o" as "--output".
local function spelt_out (command, word)
  local letter = word:match "^%-(%a)$"
  if letter == "h" then return "--help" end
  for _, option in ipairs(letter and command.options or {}) do
    if option.short == letter then return "--" .. option[1] end
  end
  return word
end

-- Reads the arguments after the command's name.
local function read (command, argv)
  local call = { args = {}, options = {}, command = command }
  local i, only = 2, false
  while argv[i] do
    local word = only and argv[i] or spelt_out(command, argv[i])
    local name, value = word:match "^%-%-([%a-]+)=?(.*)$"
    if only or not argv[i]:find "^%-." or argv[i]:find "^%-%d" then
      call.args[#call.args + 1] = argv[i]
    elseif argv[i] == "--" then
      only = true
    elseif not name then
      cli.misuse("there is no option %s; a key that begins with - goes "
        .. "after --", argv[i])
    elseif not option_of(command, name)[2] then
      if argv[i]:find "=" then cli.misuse("--%s takes no value", name) end
      call.options[name] = true
    else
      if not argv[i]:find "=" then
        i = i + 1
        value = argv[i] or cli.misuse("--%s takes a value", name)
      end
      call.options[name] = value
    end
    i = i + 1
  end
  return call
end

---An option that is a number, at least `least`; nil when it isn't given.
---@param call lode.cli.call
---@param name string
---@param least number
---@param whole boolean?
---@return number?
function cli.number (call, name, least, whole)
  local text = call.options[name]
  if text == nil then return nil end
  local number = tonumber(text)
  if not number or number ~= number or number < least
      or whole and number % 1 ~= 0 then
    cli.misuse("--%s takes a %snumber from %s, not %q", name,
      whole and "whole " or "", tostring(least), text)
  end
  return math.tointeger and math.tointeger(number) or number
end

-- ==================================================================
-- Output
-- ==================================================================

-- Writes, or raises: a disk may be full.
local function put_to (file, ...)
  local ok, why = file:write(...)
  if not ok then error("can't write: " .. tostring(why), 0) end
end

---Writes to standard output.
---@param ... string
function cli.put (...)
  put_to(io.stdout, ...)
end

---Tells a person something, on standard error.
---@param format string
function cli.tell (format, ...)
  terminal.clear()
  io.stderr:write("lode: ", format:format(...), "\n")
end

-- ==================================================================
-- Help
-- ==================================================================

local general = [[
lode %s: Lua tables that live on disk

usage: lode COMMAND PATH [ARGUMENT...] [OPTION...]

%s
`lode help COMMAND` says more. PATH is the directory of a store, or the file
of a store in a single file. A key is a string, unless --json-key is given.

exit status: 0 done; 1 absent, or refused; 2 called wrongly; 3 the store is
damaged; 130 interrupted.
]]

---The text of `lode help`.
---@return string
function cli.help ()
  local lines = {}
  for i, entry in ipairs(commands) do
    lines[i] = ("  %-9s %s\n"):format(entry[1], entry[3])
  end
  return general:format(lode.version, table.concat(lines))
end

-- Text broken into lines of `width`, all but the first behind `indent`.
local function wrapped (text, width, indent)
  local lines, line = {}, nil
  for word in text:gmatch "%S+" do
    if line and #line + #word + 1 > width then
      lines[#lines + 1] = line
      line = word
    else
      line = line and line .. " " .. word or word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(indent))
end

---The text of `lode help COMMAND`.
---@param command lode.cli.command
---@return string
function cli.help_of (command)
  local out = { ("usage: lode %s %s\n\n%s\n"):format(command.name,
    command.usage, command.text) }
  local width = 0
  local names = {}
  for i, option in ipairs(command.options or {}) do
    names[i] = (option.short and "-" .. option.short .. ", " or "")
      .. "--" .. option[1] .. (option[2] and " " .. option[2] or "")
    width = math.max(width, #names[i])
  end
  for i, option in ipairs(command.options or {}) do
    out[#out + 1] = ("  %-" .. width .. "s  %s\n"):format(names[i],
      wrapped(option[3], 74 - width, width + 4))
  end
  return table.concat(out)
end

local function help (argv)
  if not argv[2] then return cli.put(cli.help()) end
  local command = cli.command(argv[2])
  if not command then
    cli.misuse("there is no command %q; `lode help` has them all", argv[2])
  end
  cli.put(cli.help_of(command))
end

-- ==================================================================
-- Running
-- ==================================================================

local function run_command (command, argv)
  local call = read(command, argv)
  if call.options.help then return cli.put(cli.help_of(command)) end
  local count = #call.args
  if count < command.least or count > (command.most or math.huge) then
    cli.misuse("usage: lode %s %s", command.name, command.usage)
  end
  return command.run(call)
end

local words = { help = true, ["--help"] = true, ["-h"] = true }

local function run (argv)
  local name = argv[1]
  if not name then
    io.stderr:write(cli.help())
    return cli.status.usage
  elseif words[name] then
    return help(argv)
  elseif name == "--version" or name == "version" then
    return cli.put("lode ", lode.version, "\n")
  end
  local command = cli.command(name)
  if not command then
    cli.misuse("there is no command %q; `lode help` has them all", name)
  end
  return run_command(command, argv)
end

---Runs the command. Errors are told on standard error.
---@param argv string[] the words after `lode`
---@return integer status
function cli.main (argv)
  local ok, result = pcall(run, argv)
  terminal.clear()
  if ok then
    local flushed, why = io.stdout:flush()
    if flushed then return result or cli.status.done end
    result = "can't write: " .. tostring(why)
  end
  local status, line = outcome(result)
  pcall(io.stdout.flush, io.stdout)
  cli.tell("%s%s", words[argv[1] or "help"] and "" or argv[1] .. ": ", line)
  return status
end

return cli
