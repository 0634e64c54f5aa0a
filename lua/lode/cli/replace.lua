--- Puts a compacted copy in the place of a store, for `lode compact`.
--
-- The files of an open store must never be replaced: who has it open would
-- go on with the old ones, and what it writes would be lost. So this makes
-- sure, as far as the system tells, that nobody has: no reader slot is in
-- use, and no process maps the file (where there is a /proc). The directories
-- change places as wholes, so that each keeps its own lock file. Then it
-- looks once more, and takes the change back when somebody was quicker.

local guard = require "lode.cli.guard"
local lode = require "lode"
local shell = require "lode.cli.shell"
local stores = require "lode.cli.stores"
local terminal = require "lode.cli.terminal"

local replace = {}

local lines_of, quoted = shell.lines, shell.quoted

local function refuse (format, ...)
  error(format:format(...), 0)
end

-- Whether a process maps the data file of a directory.
local function is_mapped (directory)
  local real = lines_of("cd " .. quoted(directory) .. " && pwd -P")[1]
  if not real then return false end
  return #lines_of("grep -lsF -- " .. quoted(real .. "/data.mdb")
    .. " /proc/[0-9]*/maps") > 0
end

local own = { ["data.mdb"] = true, ["lock.mdb"] = true,
  ["lode.side"] = true }

-- Refuses a directory that isn't a store's alone.
local function check_content (path)
  local names = lines_of("ls -A " .. quoted(path))
  if #names == 0 then refuse("there is no store at %s", path) end
  for _, name in ipairs(names) do
    if not own[name] then
      refuse("%s holds more than a store (%s): give a new place TO", path,
        name)
    end
  end
end

-- Gives what is at `to` the owner and the permissions of what is at `from`.
local function keep_owner (from, to)
  local line = lines_of("ls -ldn " .. quoted(from))[1] or ""
  local mode, user, group = line:match "^.(%S+)%s+%d+%s+(%d+)%s+(%d+)"
  if not mode then return end
  local parts = {}
  for i, who in ipairs { "u", "g", "o" } do
    parts[i] = who .. "=" .. mode:sub(3 * i - 2, 3 * i):gsub("%-", "")
  end
  os.execute(("chown %s:%s %s 2>/dev/null; chmod %s %s 2>/dev/null"):format(
    user, group, quoted(to), table.concat(parts, ","), quoted(to)))
end

local function remove (directory)
  for name in pairs(own) do os.remove(directory .. "/" .. name) end
  os.remove(directory)
end

-- Makes the copy; gives the commit that it is of.
local function make_copy (path, copy)
  return stores.with(stores.writing(path), function (store)
    if store:stats().readers > 1 then
      refuse("%s is open elsewhere: close it there, or give a new place TO",
        path)
    end
    local version = store:version()
    terminal.with_bar("compact", function (options)
      options.compact = true
      store:backup(copy, options)
    end)
    return version
  end)
end

local function exists (path)
  return #lines_of("ls -d " .. quoted(path)) > 0
end

-- Changes the places of the store and its copy.
local function change (path, copy, old)
  local first, why = os.rename(path, old)
  local second = first and os.rename(copy, path)
  if not second then
    refuse("can't rename %s: %s", path, why or "the copy is gone")
  end
end

-- However far a change came, the store is where it was.
local function change_back (path, copy, old)
  if not exists(old) then return end
  if exists(path) then os.rename(path, copy) end
  os.rename(old, path)
end

-- Refuses what nothing can be put in the place of.
local function check_place (path, ...)
  if stores.options(path).single_file then
    refuse("%s is a store in a single file: give a new place TO", path)
  end
  check_content(path)
  for _, place in ipairs { ... } do
    if exists(place) then
      refuse("%s is there already: move it away first", place)
    end
  end
end

local function compact (path, copy, old)
  local version = make_copy(path, copy)
  if not lode.check(copy).ok then refuse "the copy isn't whole" end
  keep_owner(path, copy)
  keep_owner(path .. "/data.mdb", copy .. "/data.mdb")
  local unchanged = stores.with(stores.reading(path), function (store)
    return store:version() == version and store:stats().readers <= 1
  end)
  if not unchanged or is_mapped(path) then
    refuse("%s is in use: try again when nobody has it open, or give a new "
      .. "place TO", path)
  end
  change(path, copy, old)
  if is_mapped(old) then
    refuse("%s was opened meanwhile, so it is left as it was", path)
  end
end

-- Does what is right to do twice, also when Ctrl-C, which comes once, comes
-- just then: that is raised afterwards.
local function surely (fn, ...)
  local ok, problem = guard(fn, ...)
  if ok then return end
  fn(...)
  error(problem, 0)
end

---Replaces the store at a path by a compacted copy of it.
---@param path string
function replace.compact (path)
  path = path:gsub("(.)/+$", "%1")
  local copy, old = path .. ".compacting", path .. ".before-compact"
  check_place(path, copy, old)
  local ok, problem = guard(compact, path, copy, old)
  if ok then return surely(remove, old) end
  surely(function ()
    change_back(path, copy, old)
    remove(copy)
  end)
  error(problem, 0)
end

return replace
