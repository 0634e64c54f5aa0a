-- Reads of a dict with a cache, in a form that LuaJIT can compile: it can't
-- compile a call of a C function of Lua's, but one through its ffi. Elsewhere
-- there is nothing here, and lcache.c does without.

local jit = rawget(_G, "jit")
local has_ffi, ffi = pcall(require, "ffi")
if not (jit and jit.status() and has_ffi) then return {} end

-- Makes the __index of every dict that has a cache, and a function that
-- makes such a dict known to it with its `kept`: the dict's newer and its
-- older table of values (or nil), `absent` being a key's that isn't in the
-- dict. `ready` is the address of a C function that tells whether they are
-- true, as the bytes of a pointer; `slow` is the whole __index in C.
--
-- A compiled trace keeps the metatables and functions it was made of as long
-- as it exists. So all dicts have these in common, and what is one dict's is
-- found by the dict, in a table that keeps neither it nor its values.
---@param slow fun(d: lode.dict, key: any): any
---@param ready string
---@param absent userdata
---@return fun(d: lode.dict, key: any): any index
---@return fun(d: lode.dict, kept: table[]) enroll
local function index (slow, ready, absent)
  local is_true = ffi.cast("bool (**)(const void *)", ready)[0]
  local kept_of = setmetatable({}, { __mode = "kv" })
  local function find (d, key)
    local kept = kept_of[d]
    if kept and is_true(d) then
      local value, older = kept[1][key], kept[2]
      if value == nil and older then value = older[key] end
      if value ~= nil and value ~= absent then return value end
    end
    return slow(d, key)
  end
  return find, function (d, kept) kept_of[d] = kept end
end

return { index = index }
