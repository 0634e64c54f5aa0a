-- Another process that writes to stores as it is told: whether a lock was
-- left behind is seen by one that doesn't share it. It serves a whole file
-- of specs, as starting one takes longer than what it is asked:
--
--   local neighbour = require "support.neighbour"
--   neighbour.attend()          -- once, outside of each describe
--   ...
--   neighbour.writes(path)      -- asserts that it can, within a second

local assert = require "luassert"
local busted = require "busted"
local process = require "support.process"

local neighbour = {}

local child, orders, scratch

local source = [[
  local lode = require "lode"
  local function write (path)
    local store = lode.open(path, { durability = "os", lock_timeout = 1,
      maintenance = "off" })
    local d = store:dict "neighbour"
    d.n = (d.n or 0) + 1
    store:close()
  end
  for path in io.lines((...)) do
    if path == "" then break end
    local ok, e = pcall(write, path)
    print(ok and "written" or tostring(e))
  end
]]

local function start ()
  local pipe = assert(io.popen "mktemp -d")
  scratch = pipe:read "*l"
  pipe:close()
  os.execute("mkfifo " .. scratch .. "/orders")
  -- its end is opened first: it would inherit ours, and never see us gone
  child = process.spawn(scratch .. "/script", source, scratch .. "/orders")
  orders = assert(io.open(scratch .. "/orders", "w"))
  orders:setvbuf "no"
end

local function stop ()
  orders:write "\n"
  orders:close()
  child:finish()
  os.execute("rm -rf " .. scratch)
end

-- Starts it before the specs of this file, and ends it after them.
function neighbour.attend ()
  busted.setup(start)
  busted.teardown(stop)
end

-- Asserts that it can write to the store at `path`.
---@param path string
function neighbour.writes (path)
  orders:write(path, "\n")
  assert.are.equal("written", child:line())
end

return neighbour
