-- Mistakes as specs. One that raises is a line or two:
--
--   mistake("a path left out", "BAD_ARGUMENT",
--     { "a path expected, got nil", "'open'", 'lode.open("data")' },
--     function () lode.open() end)
--
-- The three texts are parts of the message: what happened, where, and what
-- to do. `fn` is called with a store in which users (a dict) and staff (a
-- set) have one entry, "ada".

local assert = require "luassert"
local busted = require "busted"
local helper = require "support.helper"
local lode = require "lode"

local mistakes = {}

---The store that each mistake is made in.
---@return table store, table users, table staff, string path
function mistakes.store ()
  local store, path = helper.open()
  local users, staff = store:dict "users", store:set "staff"
  users.ada = { name = "Ada", logins = 1 }
  staff.ada = true
  return store, users, staff, path
end

---That e has what an error needs: three texts, and a line that reads well.
---@param e table
---@param parts string[] what happened, where, and what to do
function mistakes.check (e, parts)
  assert.are.equal(3, #parts)
  helper.says(e, parts[1], parts[2], parts[3])
  local text = tostring(e)
  assert.is_true(#text < 600, text)
  assert.is_nil(text:find "%c", text)
  assert.is_nil(text:find "[:(] ?0x%x%x%x%x%x%x", text) -- no addresses
end

---A spec for a mistake that raises an error of lode's.
function mistakes.raises (name, code, parts, fn)
  busted.it(name, function ()
    local store, users, staff, path = mistakes.store()
    local e = helper.fails(code, fn, store, users, staff, path)
    mistakes.check(e, parts)
    assert.is_truthy(e.where and e.where:find "mistakes_%w+_spec.lua:%d+$",
      tostring(e))
    -- and no harm is done
    if pcall(store.path, store) then
      assert.are.same({ name = "Ada", logins = 1 },
        lode.dict.get(store:dict "users", "ada"))
    end
  end)
end

return mistakes
