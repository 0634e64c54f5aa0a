-- What the nginx of the specs answers. It runs whatever source it is sent:
-- it listens on loopback, for as long as a spec runs.

local app = {}

local function joined (...)
  local out = {}
  for i = 1, select("#", ...) do out[i] = tostring((select(i, ...))) end
  return table.concat(out, " ")
end

local routes = {}

routes["/ping"] = function () ngx.print "pong" end

routes["/empty"] = function () ngx.print "ok" end

-- The handlers that are compared: a dict of nginx's, one of lode's.
local function reads (zone)
  return function ()
    local value = zone():get(ngx.var.arg_key)
    if value == nil then return ngx.exit(404) end
    ngx.print(value)
  end
end

local function writes (zone)
  return function ()
    local key = ngx.var.arg_key
    local ok, err = zone():set(key, "value of " .. key)
    if not ok then
      ngx.log(ngx.ERR, err)
      return ngx.exit(500)
    end
    ngx.print(key)
  end
end

local function increments (zone)
  return function ()
    local n, err = zone():incr("n" .. ngx.var.arg_key, 1, 0)
    if not n then
      ngx.log(ngx.ERR, err)
      return ngx.exit(500)
    end
    ngx.print(n)
  end
end

local zones = {
  shm = function () return ngx.shared.dogs end,
  lode = function () return _G.shared.dogs end,
  cached = function () return _G.shared.cached end,
}

for name, zone in pairs(zones) do
  routes["/get/" .. name] = reads(zone)
  routes["/set/" .. name] = writes(zone)
  routes["/incr/" .. name] = increments(zone)
end

-- Runs the source in the body, if this is the worker that is wanted.
routes["/run"] = function ()
  local worker = ngx.var.arg_worker
  if worker and tonumber(worker) ~= ngx.worker.id() then
    return ngx.exit(409)
  end
  ngx.req.read_body()
  local chunk, err = loadstring(ngx.req.get_body_data() or "")
  if not chunk then
    ngx.status = 400
    return ngx.print(err)
  end
  ngx.print(joined(chunk()))
end

function app.answer ()
  local route = routes[ngx.var.uri]
  if not route then return ngx.exit(404) end
  return route()
end

return app
