-- Reads of a dict with a cache, in a form that LuaJIT can compile: it can't
-- compile a call of a C function of Lua's, but one through its ffi. Elsewhere
-- there is nothing here, and lcache.c does without.

local jit = rawget(_G, "jit")
local has_ffi, ffi = pcall(require, "ffi")
if not (jit and jit.status() and has_ffi) then return {} end

-- The __index of a dict: `kept` has its newer and its older table of values
-- (or nil), `absent` being a key's that isn't in the dict. `ready` is the
-- address of a C function that tells whether they are true, as the bytes of
-- a pointer; `slow` is the whole __index in C.
---@param slow fun(d: lode.dict, key: any): any
---@param kept table[]
---@param ready string
---@param absent userdata
---@return fun(d: lode.dict, key: any): any
local function index (slow, kept, ready, absent)
  local is_true = ffi.cast("bool (**)(const void *)", ready)[0]
  return function (d, key)
    if is_true(d) then
      local value, older = kept[1][key], kept[2]
      if value == nil and older then value = older[key] end
      if value ~= nil and value ~= absent then return value end
    end
    return slow(d, key)
  end
end

return { index = index }
