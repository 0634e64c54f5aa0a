-- What the reference is made of, and what its samples take as given: for the
-- generator (main.lua) and for spec/meta_spec.lua.
--
-- Each chapter is a page. `called` is what the functions of a class are
-- called in it, where that isn't the name they have in the file.

local given = [[
local lode = require "lode"
local dict, set, policy = lode.dict, lode.set, lode.policy
local serializer = require "lode.serializer"
local now = 1800000000.0
local store = lode.open("data", { clock = function () return now end })]]

local given_shared = [[
local shared = require("resty.lode").open "data"
local dogs = shared.dogs]]

local names = {
  ["lode"] = "lode.", ["lode.core"] = "core.", ["lode.store"] = "store:",
  ["lode.dict_functions"] = "dict.", ["lode.set_functions"] = "set.",
  ["lode.policies"] = "policy.", ["lode.serializers"] = "serializer.",
  ["resty.lode"] = "resty.", ["resty.lode.shared"] = "shared:",
  ["resty.lode.dict"] = "dogs:",
}

local chapters = {
  { page = "lode", title = "The module", says = "Opening, keys, errors",
    files = { "lua/lode/meta.lua" } },
  { page = "store", title = "Stores",
    says = "Collections, transactions, durability",
    files = { "lua/lode/meta_store.lua" } },
  { page = "dict", title = "Dicts",
    says = "Reading, writing, ranges and walks",
    files = { "lua/lode/meta_dict.lua", "lua/lode/meta_walk.lua" } },
  { page = "set", title = "Sets", says = "Members and set algebra",
    files = { "lua/lode/meta_set.lua" } },
  { page = "time", title = "Time", says = "Lifetimes, policies, caps, upkeep",
    files = { "lua/lode/meta_time.lua", "lua/lode/policy.lua" } },
  { page = "serializer", title = "Serializers",
    says = "JSON, compression, encryption, Unicode",
    files = { "lua/lode/serializer.lua" } },
  { page = "check", title = "Check and repair", says = "Damage, and salvage",
    files = { "lua/lode/meta_check.lua" } },
  { page = "resty", title = "resty.lode",
    says = "ngx.shared.DICT, kept on disk",
    files = { "lua/resty/lode.lua", "lua/resty/lode/dict.lua",
      "lua/resty/lode/list.lua", "lua/resty/lode/more.lua" },
    given = given_shared, closes = "shared:close()" },
}
for _, chapter in ipairs(chapters) do
  chapter.given = chapter.given or given
  chapter.closes = chapter.closes or "store:close()"
end

return { chapters = chapters, names = names }
