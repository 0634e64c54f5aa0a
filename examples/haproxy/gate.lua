-- What haproxy.cfg asks: whether a request's key is known and has requests
-- left in this minute. Keys come and go while HAProxy runs, by the command
-- lode or any program; counters outlive a reload, where those of a stick
-- table begin anew, and hold for the old processes and the new ones at once.

local lode = require "lode"
local dict = lode.dict

local path = os.getenv "GATE"
local WINDOW = 60

-- Opened at the first request: by then HAProxy has become the user that it
-- serves as, under the root directory that it has then. "os": no request
-- waits for a disk. A thread that waits serves nobody, so none waits for
-- another writer for longer than 0.1 s.
local gate
local function open()
  if gate then return gate end
  local store = lode.open(path, { durability = "os", lock_timeout = 0.1,
    maintenance = "off" })
  gate = { store = store, keys = store:dict "keys",
    used = store:dict("used", { ttl = WINDOW }) }
  return gate
end

local function admit(txn)
  local key = txn.sf:req_hdr "X-Key"
  local known = open().keys[key]
  if not known then return "unknown" end
  local minute = os.time() // WINDOW
  local n = dict.incr(gate.used, { known.name, minute })
  txn:set_var("txn.name", known.name)
  txn:set_var("txn.left", math.max(known.most - n, 0))
  return n <= known.most and "open" or "exhausted"
end

-- Where the store can't be asked, nobody is kept out: that is for you to say.
core.register_action("admit", { "http-req" }, function (txn)
  local ok, answer = pcall(admit, txn)
  if not ok then core.Warning("gate: " .. tostring(answer)) end
  txn:set_var("txn.gate", ok and answer or "open")
end)

core.register_service("usage", "http", function (applet)
  local lines = {}
  for at, n in dict.pairs(open().used) do
    lines[#lines + 1] = ("%s %s %d\n"):format(at[1],
      os.date("%H:%M", at[2] * WINDOW), n)
  end
  local body = table.concat(lines)
  applet:set_status(200)
  applet:add_header("Content-Length", tostring(#body))
  applet:start_response()
  applet:send(body)
end)

-- HAProxy lets its processes start no threads, so lode's are of no use here.
-- One of HAProxy's own sweeps, in slices, and has what was counted put on
-- disk; the others serve meanwhile.
local function upkeep()
  if not gate then return end
  gate.store:maintain { ms = 1 }
  gate.store:flush()
end

core.register_task(function ()
  while core.thread <= 1 do
    core.sleep(2)
    pcall(upkeep) -- another writer may have the store: the next time
  end
end)
