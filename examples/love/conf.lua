-- HEADLESS=1 love . 300 plays without a window.

function love.conf(t)
  t.identity = "lode-sparks"
  local shown = not os.getenv "HEADLESS"
  for _, module in ipairs { "window", "graphics", "audio", "sound", "joystick",
      "physics", "touch", "video", "system" } do
    t.modules[module] = shown
  end
end
