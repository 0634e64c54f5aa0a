-- What the HAProxy of the specs answers. The store is opened when this file
-- is loaded: in one process, before it has forked.

local lode = require "lode"
local dict = lode.dict

local store = lode.open(os.getenv "STORE", { durability = "os" })
local dogs = store:dict "dogs"
dict.incr(dogs, "loaded")

local routes = {}

routes["/ping"] = function () return "pong" end

routes["/set"] = function (key)
  dogs[key] = "value of " .. key
  return key
end

routes["/get"] = function (key) return tostring(dogs[key]) end

routes["/incr"] = function () return tostring(dict.incr(dogs, "n")) end

-- With as many instructions in one transaction as have HAProxy interrupt a
-- Lua function, to let others run.
routes["/long"] = function ()
  return store:transaction(function ()
    local n = 0
    for i = 1, 200000 do n = n + i % 2 end
    return tostring(dict.incr(dogs, "long", n))
  end)
end

routes["/exercise"] = function (path)
  return tostring(require "exercise".run(path))
end

core.register_service("app", "http", function (applet)
  local ok, body = pcall(routes[applet.path], applet.qs:match "^key=(.*)")
  body = tostring(body)
  applet:set_status(ok and 200 or 500)
  applet:add_header("Content-Length", tostring(#body))
  applet:start_response()
  applet:send(body)
end)
