-- The texts in lua/lode/meta*.lua, which language servers and the reference
-- go by, against what there is.

local core = require "lode.core"
local helper = require "support.helper"
local lfs = require "lfs"
local lode = require "lode"

-- All lines of lua/lode/meta*.lua.
local function lines ()
  local found = {}
  for name in lfs.dir "lua/lode" do
    if name:find "^meta.*%.lua$" then
      for line in io.lines("lua/lode/" .. name) do
        found[#found + 1] = line
      end
    end
  end
  return found
end

-- The names of the functions that have a text, by the table they are in.
local function described ()
  local found = { core = {}, dict = {}, set = {}, store = {} }
  for _, line in ipairs(lines()) do
    local where, name = line:match "^function (%a+)[.:]([%w_]+)"
    if where then found[where][name] = true end
  end
  return found
end

-- The fields of a class that have a text.
local function fields (class)
  local found, inside = {}, false
  for _, line in ipairs(lines()) do
    local name = line:match "^%-%-%-@class ([%w_.]+)"
    if name then inside = name == class end
    local field = line:match "^%-%-%-@field ([%w_]+)"
    if inside and field then found[#found + 1] = field end
  end
  assert(#found > 0, class)
  return found
end

-- The functions of a table that have no text, and the texts of none.
local function differences (functions, texts)
  local found = {}
  for name, value in pairs(functions) do
    if type(value) == "function" and not texts[name] then
      found[#found + 1] = name .. " has no text"
    end
  end
  for name in pairs(texts) do
    if not functions[name] and not name:find "^test_" then
      found[#found + 1] = name .. " is no function"
    end
  end
  table.sort(found)
  return found
end

describe("the texts of the module", function ()
  helper.watch()

  it("are of every function, and of no others", function ()
    local texts = described()
    assert.are.same({}, differences(core, texts.core))
    assert.are.same({}, differences(core.dict, texts.dict))
    assert.are.same({}, differences(core.set, texts.set))
    local store = helper.open()
    local methods = debug.getmetatable(store).__index
    assert.are.same({}, differences(methods, texts.store))
  end)

  -- None takes a thread.
  it("name options that there are", function ()
    local store = helper.open()
    local odd = coroutine.create(function () end)
    local function check (class, call)
      for _, name in ipairs(fields(class)) do
        local e = helper.fails("BAD_ARGUMENT", call, { [name] = odd })
        helper.says(e, "'" .. name .. "'")
      end
    end
    local function opens (kind)
      return function (options) return store[kind](store, "c", options) end
    end
    check("lode.open_options", function (options)
      return lode.open(helper.path(), options)
    end)
    check("lode.time_options", opens "dict")
    check("lode.time_options", opens "set")
    check("lode.set_options", opens "dict")
    check("lode.set_options", opens "set")
    check("lode.dict_options", opens "dict")
    local d = store:dict "d"
    check("lode.fetch_options", function (options)
      return lode.dict.fetch(d, "k", print, options)
    end)
    check("lode.budget", function (budget) return store:maintain(budget) end)
  end)
end)
