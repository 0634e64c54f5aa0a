-- Settings that stay: a dict read and written as a table. Defaults are
-- filled in once, what the user changed is kept at the next start.
--
-- The store is the directory config.lode; run it twice and see `starts`.

local lode = require "lode"
local dict = lode.dict

local store = lode.open "config.lode"
local config = store:dict("config", { key = "string" })

-- setdefault writes only what is absent yet.
local defaults = {
  theme = "dark", volume = 0.8, fullscreen = false,
  window = { width = 1280, height = 720 },
}
for name, value in pairs(defaults) do
  dict.setdefault(config, name, value)
end

config.volume = 0.5                 -- on disk when the line returns
dict.incr(config, "starts")         -- from 0, when it is not there yet

-- What a dict gives is a copy: change it, then put it back.
dict.update(config, "window", function (w)
  w.width = 1920
  return w
end)

-- Keys are strings here: another is refused, and nothing changes.
local ok, err = pcall(function () config[1] = "no" end)

for name, value in dict.pairs(config) do
  if name == "window" then value = value.width .. "x" .. value.height end
  print(("%-12s %s"):format(name, tostring(value)))
end
print("refused: " .. (ok and "nothing" or err.code))
store:close()
