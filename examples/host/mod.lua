-- A mod of the game, which runs it in every frame, in a transaction. The
-- dict `world` is all that it has: no library, no file, no other dict. Its
-- globals are its own, and gone when the game ends.

frame = (frame or 0) + 1
world.frame = frame

-- Sparks go out by themselves: the game has given the dict a ttl.
for i = 1, 20 do
  world[{ "spark", frame, i }] = { x = i * 3, y = frame % 7 }
end

if frame == 20 then
  world.treasure = "taken" -- this frame fails below, so it is not
  os.execute "rm -rf /"    -- there is no os
end
