-- LÖVE without a window, for main.lua.

function love.conf (t)
  for name in pairs(t.modules) do
    t.modules[name] = name == "event" or name == "timer"
  end
end
