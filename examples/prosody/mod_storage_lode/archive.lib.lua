-- Archives of mod_storage_lode: messages for who is offline, the history of
-- chats, what is published. Items are numbered in the order in which they
-- came, so that a page of them is a range of keys, in either direction.
--
--   archive  { host, store, user, number } -> { key, when, with, value }
--   ids      { host, store, user, key } -> number

local lode = require "lode"
local st = require "util.stanza"
local new_id = require "util.id".medium
local now = require "util.time".now
local dict = lode.dict

local items, ids, host, names -- given by mod_storage_lode, at the end
local archive = { caps = { total = true, truncate = true, ids = true,
  full_id_range = true, wildcard_delete = true } }

local function place(self, user, key)
  return { host, self.store, user or false, key }
end

-- A stanza is kept as a plain table, which is told by its name in the item.
local function freeze(item, value)
  local is_stanza = st.is_stanza(value)
  item.stanza = is_stanza and st.preserialize(value) or nil
  item.value = not is_stanza and value or nil
end

local function thaw(item)
  return item.stanza and st.deserialize(item.stanza) or item.value
end

-- The range of a query, without its filters; nil and words when it begins or
-- ends at an item that isn't there. The user true is everybody.
local function range_of(self, user, query)
  local range = { reverse = query.reverse,
    prefix = user == true and { host, self.store } or place(self, user) }
  for _, side in ipairs { "after", "before" } do
    if query[side] then
      local number = ids[place(self, user, query[side])]
      if not number then return nil, "item-not-found" end
      range[side] = place(self, user, number)
    end
  end
  return range
end

local function passes(item, query, wanted)
  return (not query.key or query.key == item.key)
    and (not query.with or query.with == item.with)
    and (not query.start or query.start <= item.when)
    and (not query["end"] or query["end"] >= item.when)
    and (not wanted or wanted[item.key])
end

-- The places and items of a range that a query's filters let through.
local function matching(range, query)
  local wanted = query.ids and {}
  for _, key in ipairs(query.ids or {}) do wanted[key] = true end
  local step, state, at = dict.pairs(items, range)
  return function ()
    local item
    repeat
      at, item = step(state, at)
    until not at or passes(item, query, wanted)
    return at, item
  end
end

local function count(range, query)
  local n = 0
  for _ in matching(range, query) do n = n + 1 end
  return n
end

function archive:append(user, key, value, when, with)
  key = key or new_id()
  local old = ids[place(self, user, key)]
  if old then items[place(self, user, old)] = nil end
  local last = dict.keys(items, { prefix = place(self, user), limit = 1,
    reverse = true })()
  local number = last and last[4] + 1 or 1
  local item = { key = key, when = when or now(), with = with }
  freeze(item, value)
  items[place(self, user, number)] = item
  ids[place(self, user, key)] = number
  return key
end

function archive:find(user, query)
  query = query or {}
  local range, err = range_of(self, user, query)
  if not range then return nil, err end
  local total = query.total
    and count({ prefix = range.prefix }, query) or nil
  local each, left = matching(range, query), query.limit or math.huge
  return function ()
    left = left - 1
    if left < 0 then return nil end
    local at, item = each()
    if at then return item.key, thaw(item), item.when, item.with end
  end, total
end

function archive:get(user, key)
  local number = ids[place(self, user, key)]
  if not number then return nil, "item-not-found" end
  local item = items[place(self, user, number)]
  return thaw(item), item.when, item.with
end

function archive:set(user, key, value, when, with)
  local number = ids[place(self, user, key)]
  if not number then return nil, "item-not-found" end
  local at = place(self, user, number)
  local item = items[at]
  item.when, item.with = when or item.when, with or item.with
  if value ~= nil then freeze(item, value) end
  items[at] = item
  return true
end

-- With `truncate` the last so many of those stay; with `reverse`, the first.
function archive:delete(user, query)
  query = query or {}
  local range, err = range_of(self, user, query)
  if not range then return nil, err end
  range.reverse = not query.reverse
  local keep, gone = query.truncate or 0, 0
  for at, item in matching(range, query) do
    keep = keep - 1
    if keep < 0 then
      items[at], ids[{ at[1], at[2], at[3], item.key }] = nil, nil
      gone = gone + 1
    end
  end
  return gone
end

function archive:summary(user, query)
  local each, err = archive.find(self, user, query)
  if not each then return nil, err end
  local counts, earliest, latest, body = {}, {}, {}, {}
  for _, value, when, with in each do
    with = with or ""
    counts[with] = (counts[with] or 0) + 1
    earliest[with], latest[with] = earliest[with] or when, when
    body[with] = st.is_stanza(value) and value:get_child_text "body"
      or body[with]
  end
  return { counts = counts, earliest = earliest, latest = latest, body = body }
end

function archive:users() return names(items, host, self.store) end

return function (home, names_in)
  items, ids = home:dict "archive", home:dict "ids"
  host, names = module.host, names_in
  return archive
end
