--- lode: Lua tables that live on disk.
--
--     local lode = require "lode"
--     local store = lode.open "data"
--     local users = store:dict "users"
--     users.ada = { plan = "pro" }
--
-- All of it is the C module lode.core; its functions are described in
-- lode/meta.lua and the files beside it. A dict or a set has no methods,
-- since every key belongs to the user: what can be done with them are the
-- functions of lode.dict and lode.set.

local core = require "lode.core"
local policy = require "lode.policy"

---@type lode
return {
  open = core.open,
  check = core.check,
  repair = core.repair,
  dict = core.dict,
  set = core.set,
  policy = policy,
  version = core.version,
}
