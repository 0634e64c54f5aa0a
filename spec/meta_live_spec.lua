-- The fields that the annotations give to what lode returns, against what
-- live stores return: no field without a text, none of another type, and
-- none that is always said to be there and isn't.

local helper = require "support.helper"
local lode = require "lode"
local reference = require "support.reference"
local serializer = require "lode.serializer"

local dict, set = lode.dict, lode.set

-- Whether a value is of a type, as far as it is spelt out.
local function is_of (value, type_text)
  if type_text == "any" then return true end
  for part in (type_text .. "|"):gmatch "(.-)|" do
    local name = part:gsub("%?$", "")
    local class = reference.classes[name]
    local alias = reference.aliases[name]
    local own = type(value)
    if part == "integer" or name == "integer" then
      if own == "number" and value % 1 == 0
          and (not math.type or math.type(value) == "integer") then
        return true
      end
    elseif name == own or name == ("%q"):format(tostring(value)) then
      return true
    elseif own == "table" and (class or name:find "%[%]$") then
      return true
    elseif own == "function" and name:find "^fun" then
      return true
    elseif alias and alias.type and is_of(value, alias.type) then
      return true
    elseif alias then
      for _, said in ipairs(alias.values) do
        if is_of(value, said.value) then return true end
      end
    end
  end
  return false
end

-- What was seen of each class, over all examples of it.
local seen = {}

-- Compares one example of a class with its text.
local function look (class, example)
  local fields = reference.fields(class)
  seen[class] = seen[class] or {}
  for name, value in pairs(example) do
    local field = fields[name]
    assert.is_truthy(field, class .. " has no text for " .. tostring(name))
    assert.is_true(is_of(value, field.type), ("%s.%s: %s isn't %s")
      :format(class, name, tostring(value), field.type))
    seen[class][name] = true
  end
  for name, field in pairs(fields) do
    if not reference.is_optional(field.type) then
      assert.is_not_nil(example[name], ("%s has no %s"):format(class, name))
    end
  end
end

-- Asserts that each field of a class was seen in some example of it.
local function all_seen (class)
  local missing = {}
  for name in pairs(reference.fields(class)) do
    if not seen[class][name] then missing[#missing + 1] = name end
  end
  table.sort(missing)
  assert.are.same({}, missing, class .. ": never seen")
end

describe("the fields that have a text are those of", function ()
  helper.watch()

  it("the statistics of stores", function ()
    local now = 1800000000
    local store, path = helper.open {
      max_size = 2 ^ 20, durability = "behind", flush_ms = 1000000,
      clock = function () return now end,
    }
    local d = store:dict("d", { ttl = 60 })
    d.a = 1
    look("lode.store_stats", store:stats())
    store:flush()
    now = now + 60
    assert.are.equal(1, (store:maintain()))
    store:snapshot(function ()
      local other = helper.open({ durability = "commit" }, path)
      other:dict("other").k = 1
      local began = os.clock()
      repeat until os.clock() - began > 0.005
      local stats = store:stats()
      look("lode.store_stats", stats)
      look("lode.oldest_reader", stats.oldest_reader)
    end)
    pcall(function ()
      for i = 1, 1000 do d[i] = ("x"):rep(4000) end
    end)
    pcall(store.flush, store)
    look("lode.store_stats", store:stats())
    pcall(store.close, store)
    all_seen "lode.store_stats"
    all_seen "lode.oldest_reader"
  end)

  it("the statistics of dicts and sets", function ()
    local store = helper.open()
    look("lode.collection_stats", dict.stats(store:dict "d"))
    look("lode.collection_stats", set.stats(store:set "s"))
    all_seen "lode.collection_stats"
  end)

  it("what is known of an entry", function ()
    local store = helper.open()
    local d = store:dict("d", { times = true })
    dict.set(d, "a", 1, 60)
    look("lode.info", dict.info(d, "a"))
    local s = store:set "s"
    s.a = true
    look("lode.info", set.info(s, "a"))
    all_seen "lode.info"
  end)

  it("what functions are told of an entry", function ()
    local now = 1800000000
    local store = helper.open { clock = function () return now end }
    local d = store:dict("d", {
      expire = function (e)
        look("lode.entry", e)
        return e.ctime + 60
      end,
      on_expire = function (_, _, e) look("lode.removed", e) end,
      max_entries = 2,
      evict = function (e)
        look("lode.entry", e)
        return 0
      end,
    })
    for i = 1, 3 do d[i] = i end
    now = now + 60
    assert.are.equal(2, (store:maintain()))
    all_seen "lode.entry"
    all_seen "lode.removed"
  end)

  it("what is kept with a collection", function ()
    local store = helper.open()
    store:dict("all", {
      key = "string", value = "table", serializer = serializer.msgpack,
      hash = function (bytes) return bytes:sub(1, 16) end,
      key_serializer = { name = "own", encode = tostring, decode = tostring },
      expire = lode.policy.idle(60), on_expire = print, times = true,
      max_entries = 10, max_bytes = 1000, evict = "lru",
    })
    store:set("short", { ttl = 60 })
    store:dict("raw", { raw = true })
    for name in store:collections() do
      look("lode.kept_options", select(2, store:options(name)))
    end
    all_seen "lode.kept_options"
  end)

  it("reports of checks and repair", function ()
    local store, path = helper.open()
    store:dict("d").k = "a value that stands in the file as it is"
    look("lode.check_report", store:check())
    look("lode.check_report", store:check { repair = true })
    store:close()
    local file = assert(io.open(path .. "/data.mdb", "r+b"))
    local text = file:read "*a"
    for at in text:gmatch "()stands in the file" do
      file:seek("set", at - 1)
      file:write "STANDS"
    end
    file:close()
    look("lode.check_report", lode.check(path))
    local report = lode.repair(path, helper.path())
    look("lode.salvage_report", report)
    look("lode.salvaged", report.collections[1])
    all_seen "lode.check_report"
    all_seen "lode.salvage_report"
    all_seen "lode.salvaged"
  end)

  it("errors", function ()
    local store = helper.open()
    local e = helper.fails("BAD_VALUE", dict.set, store:dict "d", "k", print)
    look("lode.error", e)
    all_seen "lode.error"
  end)

  it("policies and serializers", function ()
    for _, p in ipairs { lode.policy.idle(60), lode.policy.ttl(60) } do
      look("lode.policy", p)
    end
    look("lode.serializer", serializer.msgpack)
    look("lode.serializer", serializer.zlib())
    all_seen "lode.policy"
    all_seen "lode.serializer"
  end)
end)
