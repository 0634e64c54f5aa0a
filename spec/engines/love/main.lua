-- Runs exercise.lua in LÖVE, with a store at the path that is its argument,
-- between frames; prints how much held.

function love.load (arguments)
  print(jit.version, require "exercise".run(arguments[1]))
end

function love.update ()
  love.event.quit()
end
