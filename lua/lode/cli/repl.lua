--- The command repl: Lua, line by line, with every collection at hand.

local cli = require "lode.cli"
local json = require "lode.cli.json"
local lode = require "lode"
local stores = require "lode.cli.stores"
local terminal = require "lode.cli.terminal"

-- ==================================================================
-- Reading lines
-- ==================================================================

-- A function that asks for a line: by a library with history and keys, where
-- there is one; nil at the end.
local function prompter ()
  if not terminal.is(0) then
    return function () return io.read "*l" end
  end
  local ok, library = pcall(require, "readline")
  if ok and type(library) == "table" and library.readline then
    return function (prompt)
      local line = library.readline(prompt)
      if line and line ~= "" and library.add_history then
        library.add_history(line)
      end
      return line
    end
  end
  ok, library = pcall(require, "linenoise")
  if ok and type(library) == "table" and library.linenoise then
    return function (prompt)
      local line = library.linenoise(prompt)
      if line and line ~= "" then library.historyadd(line) end
      return line
    end
  end
  return function (prompt)
    io.write(prompt)
    io.flush()
    return io.read "*l"
  end
end

-- Source as a function with these globals; nil and why not.
local function compile (source, env)
  if setfenv then -- 5.1, and LuaJIT
    local fn, why = loadstring(source, "=repl")
    return fn and setfenv(fn, env), why
  end
  return load(source, "=repl", "t", env)
end

-- A line is an expression, or statements; more lines are asked for until it
-- is whole.
local function compile_lines (line, ask, env)
  local fn = compile("return " .. line:gsub("^=", ""), env)
  local why
  while not fn do
    fn, why = compile(line, env)
    if fn or not why:find "<eof>" and not why:find "'<eof>'" then break end
    local next_line = ask ">> "
    if not next_line then break end
    line = line .. "\n" .. next_line
  end
  return fn, why
end

-- ==================================================================
-- Showing values
-- ==================================================================

local function shown (value)
  local kind = type(value)
  if kind == "string" or kind == "table" and not getmetatable(value) then
    local ok, text = pcall(json.encode, value)
    if ok then return text end
  end
  return tostring(value)
end

local function show (count, ...)
  local parts = {}
  for i = 1, count do parts[i] = shown((select(i, ...))) end
  if count > 0 then cli.put(table.concat(parts, "\t"), "\n") end
end

-- ==================================================================
-- What is at hand
-- ==================================================================

-- The globals: Lua's own, the store's, and each collection by its name
-- unless that is one of those.
local function environment (store)
  local all = {}
  local env = setmetatable({ store = store, lode = lode, dict = lode.dict,
    set = lode.set, collections = all }, { __index = _G })
  env._G = env
  for _, entry in ipairs(stores.list(store)) do
    local ok, c = pcall(stores.collection, store, entry.name)
    if ok and c then
      all[entry.name] = c.handle
      local unknown = c:unknown()
      if unknown then cli.tell("%s: %s", entry.name, unknown) end
      if env[entry.name] == nil then env[entry.name] = c.handle end
    else
      cli.tell("%s: %s", entry.name, cli.reason(c))
    end
  end
  return env
end

local function greet (store, env)
  local names = {}
  for name in pairs(env.collections) do
    local plain = rawget(env, name) == env.collections[name]
      and name:find "^[%a_][%w_]*$"
    names[#names + 1] = plain and name or ("collections[%q]"):format(name)
  end
  table.sort(names)
  cli.put(("lode %s, %s: %s\n"):format(lode.version, _VERSION,
    store:path()))
  cli.put(#names > 0 and "at hand: " .. table.concat(names, ", ")
    or "it has no collections", "; and store, lode, dict, set\n")
end

-- Runs a line; false when it failed.
local function evaluate (line, ask, env)
  local fn, why = compile_lines(line, ask, env)
  if not fn then
    cli.tell("%s", why)
    return false
  end
  local function finish (ok, ...)
    if ok then
      show(select("#", ...), ...)
    else
      cli.tell("%s", cli.reason((...)))
    end
    return ok
  end
  return finish(pcall(fn))
end

local function talk (store)
  local person = terminal.is(0)
  local env = environment(store)
  if person then greet(store, env) end
  local ask = prompter()
  while true do
    local line = ask "> "
    if not line then break end
    if line:find "%S" and not evaluate(line, ask, env) and not person then
      return cli.status.no
    end
  end
  if person then cli.put "\n" end
end

local command = {
  usage = "PATH",
  least = 1, most = 1,
  text = [[
Reads Lua line by line, runs it, and prints the results; the end of the input
(Ctrl-D) ends it. Each collection is a global by its name, if that is no other
one's, and stands in the table `collections`; `store`, `lode`, `dict` and `set`
are there too. With the library readline or linenoise lines can be edited.

A script on standard input runs the same way, and ends at the first error with
status 1.
]],
  options = {
    { "readonly", nil, "open the store for reading" },
    { "create", nil, "make the store when it is absent" },
  },
  run = function (call)
    local options = call.options
    local store = options.readonly and stores.reading(call.args[1])
      or stores.writing(call.args[1], { create = options.create or false,
        maintenance = "inline" })
    return stores.with(store, talk)
  end,
}

return { repl = command }
