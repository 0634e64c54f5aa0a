-- Checks who includes whom in csrc, for `make layers`:
--
--   lua .ci/layers.lua csrc/*.h csrc/*/*.[ch]
--
-- prints each include that breaks a rule, and fails if there is one.

-- The core from the ground up. What a line names may include its own header
-- and those of the lines above it; names on one line don't know each other.
local layers = [[
  check
  status
  bytes
  hash
  key
  record
  access
  gate
  files
  probe  pages  pages_walk  pages_sweep
  side
  writer  claims  fork
  kv  kv_copy  kv_env  kv_write  kv_left  kv_place  kv_readers  kv_side
  kv_space
  catalog  catalog_read
  clock
  queue
  shared
  handle
  item  kept  reopen
  order
  life  life_ask
  evict
  sweep
  behind
  entry
  coll  times  fetch
  scan
  walk
  merge  pending  verify  verify_catalog
  maintain  checker  syncer  backup
  mend  mend_catalog  salvage  salvage_read  salvage_write
  store
]]

-- One room, drawn over several files that share its header.
local rooms = {
  kv_copy = "kv", kv_env = "kv", kv_write = "kv", kv_left = "kv",
  kv_place = "kv", kv_readers = "kv", kv_side = "kv", kv_space = "kv",
  catalog_read = "catalog",
  life_ask = "life",
  pages_walk = "pages", pages_sweep = "pages",
  verify_catalog = "verify", mend_catalog = "mend",
  salvage_read = "salvage", salvage_write = "salvage",
}

-- What the core may not call or name: it tells by its results, and ends no
-- process. Writing into a buffer (snprintf) is no output.
local silent = {
  "printf", "fprintf", "vprintf", "vfprintf", "puts", "fputs", "putchar",
  "fputc", "fwrite", "perror", "stdout", "stderr", "abort", "exit",
}

local level = {}
do
  local n = 0
  for line in layers:gmatch "[^\n]+" do
    n = n + 1
    for name in line:gmatch "%S+" do level[name] = n end
  end
end

local problems, includes, files = 0, 0, 0

local function problem(path, number, message, ...)
  problems = problems + 1
  io.stderr:write(("%s:%d: "):format(path, number), message:format(...), "\n")
end

-- The source without comments and string contents; lines stay where they are.
local function code_of(path)
  local file = assert(io.open(path))
  local source = file:read "*a"
  file:close()
  source = source:gsub("/%*.-%*/", function (comment)
    return comment:gsub("[^\n]", "")
  end)
  return (source:gsub("//[^\n]*", ""))
end

local function is_lua_header(header)
  return header:find "^lua[%w]*%.h" or header == "lauxlib.h"
end

-- The rules; each is told the file's room and name, and what it includes.

local function check_core(report, name, header, quoted)
  if is_lua_header(header) then
    report("the core doesn't know Lua: %s", header)
  elseif quoted and header ~= "../lode.h" and header ~= "lode.h" then
    local other = header:match "^([%w_]+)%.h$"
    if not other then
      report("%s is no header of the core", header)
    elseif not level[other] then
      report("%s is in no layer: give it one in .ci/layers.lua", other)
    elseif other ~= name and other ~= rooms[name]
        and level[other] >= level[name] then
      report("%s is not below %s", other, name)
    end
  end
end

local function check_binding(report, header, quoted)
  if not quoted then return end
  local own = header:match "^[%w_]+%.h$"
  if own and own ~= "lode.h" then
    local file = io.open("csrc/lua/" .. header)
    if file then file:close() else own = nil end
  end
  if not own and header ~= "../lode.h" and header ~= "../lode_lua.h" then
    report("the binding is a client of lode.h only, not of %s", header)
  end
end

local function check_file(path)
  local room, name = path:match "^csrc/(%w+)/([%w_]+)%.[ch]$"
  local is_kv = room == "core" and (rooms[name] or name) == "kv"
  local number = 0
  if room == "core" and not level[name] then
    problem(path, 1, "%s is in no layer: give it one in .ci/layers.lua", name)
    return
  end
  for line in (code_of(path) .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    local function report(...) problem(path, number, ...) end
    local mark, header = line:match '^%s*#%s*include%s*([<"])([^>"]+)[>"]'
    if header then
      includes = includes + 1
      local quoted = mark == '"'
      if header:find "lmdb%.h$" and not is_kv then
        report("LMDB has one room, kv: %s", header)
      end
      if room == "core" then
        check_core(report, name, header, quoted)
      elseif room == "lua" then
        check_binding(report, header, quoted)
      elseif quoted and not header:find "^lode[%w_]*%.h$"
          or is_lua_header(header) then
        report("the public headers stand alone, without %s", header)
      end
    elseif room == "core" then
      local text = line:gsub('"[^"]*"', '""')
      for _, word in ipairs(silent) do
        local call = text:find("%f[%w_]" .. word .. "%s*%(")
        if call or word:find "^std" and text:find("%f[%w_]" .. word) then
          report("the core prints nothing and ends nothing: %s", word)
        end
      end
    end
  end
end

for _, path in ipairs(arg) do
  files = files + 1
  check_file(path)
end

if files == 0 then
  io.stderr:write "no files to check\n"
  problems = 1
end
print(("layers: %d files, %d includes, %d problems"):format(files, includes,
  problems))
os.exit(problems == 0 and 0 or 1)
