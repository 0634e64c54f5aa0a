--- A protected call, for what has to be tidied up also after Ctrl-C.
--
-- The interpreter makes an error of Ctrl-C, once, at the next thing that Lua
-- does. Where the signal has made a call of the system fail, that is raised
-- first, and the next thing is the return from pcall itself: there nothing is
-- protected any more. So one pcall stands around the other.

---pcall, of which no Ctrl-C gets out.
---@param fn function
---@return boolean ok
---@return any result the first of fn, or what it has raised
local function guard (fn, ...)
  local whole, ok, result = pcall(pcall, fn, ...)
  if not whole then return false, ok end
  return ok, result
end

return guard
