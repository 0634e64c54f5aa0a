-- Policies: when the entries of a dict or set die. One is given as the
-- option `expire`:
--
--   local policy = require "lode.policy"
--   store:dict("sessions", {
--     expire = policy.any(policy.idle(1800), policy.age(86400)),
--   })
--
-- A policy is a function of one entry that answers the time at which it
-- dies, in seconds since the epoch, or nil: never. With what has to be known
-- about it besides, it is a table of three fields:
--
--   name    kept with the collection, and compared when it is opened again
--   expire  the function
--   reads   false: the answer doesn't depend on atime or hits, so that reads
--           need not be noted
--
-- It is asked when the entry is written and again when the time that it gave
-- has come; a later answer keeps the entry. So it should only look at the
-- entry, and answer the same as long as that is the same: the time at which
-- it dies, not whether it is dead now. What is below are examples of it.

local core = require "lode.core"

local policy = {}

---@class lode.entry what a policy is asked about
---@field key lode.key
---@field value any of a set's member: true
---@field ctime number when it was first written, in seconds since the epoch
---@field mtime number when it was last written
---@field atime number when it was last read or written
---@field hits integer how often it was read
---@field size integer bytes of key and value
---@field now number

---@alias lode.expire fun(entry: lode.entry): number?

---@class lode.policy
---@field name string
---@field expire lode.expire
---@field reads boolean? unless false, the answer depends on atime or hits

-- ==================================================================
-- The checks
-- ==================================================================

local function refuse (name, text, ...)
  text = ("lode.policy.%s "):format(name) .. text:format(...)
  core.raise("BAD_ARGUMENT", text)
end

-- A number of seconds, as it stands in a name: the same on every Lua, for
-- an integer and for a float, and in every locale.
local function text_of (seconds)
  return (("%.14g"):format(seconds):gsub(",", "."))
end

local function need_seconds (name, seconds)
  if type(seconds) == "number" and seconds > 0 and seconds < math.huge then
    return
  end
  refuse(name, "takes a number of seconds above 0, as policy.%s(600), "
    .. "not %s", name, tostring(seconds))
end

local function need_function (name, fn)
  if type(fn) == "function" then return end
  refuse(name, "takes a function that gives the time at which an entry "
    .. "dies, as function (entry) return entry.value.ends end, not a %s",
    type(fn))
end

local function need_name (name, given)
  if type(given) == "string" and given ~= "" then return end
  refuse(name, "takes a name, a string that isn't empty: it is kept with the "
    .. "collection and tells this policy from another one; not %s",
    given == "" and "an empty one" or "a " .. type(given))
end

-- The policy that an argument is: a plain function becomes one by the name
-- "function".
local function policy_of (name, given)
  if type(given) == "function" then
    return { name = "function", expire = given, reads = true }
  elseif type(given) ~= "table" or type(given.name) ~= "string"
      or type(given.expire) ~= "function" then
    refuse(name, "takes policies: each is a function (entry), or a table of "
      .. "name and expire, as policy.idle(600) gives it; not a %s%s",
      type(given), type(given) == "table" and " without these" or "")
  end
  return given
end

-- ==================================================================
-- From one time of the entry
-- ==================================================================

---So many seconds from the last write.
---@param seconds number
---@return lode.policy
function policy.ttl (seconds)
  need_seconds("ttl", seconds)
  return {
    name = "ttl(" .. text_of(seconds) .. ")",
    expire = function (entry) return entry.mtime + seconds end,
    reads = false,
  }
end

---So many seconds from the first write; later ones don't prolong it.
---@param seconds number
---@return lode.policy
function policy.age (seconds)
  need_seconds("age", seconds)
  return {
    name = "age(" .. text_of(seconds) .. ")",
    expire = function (entry) return entry.ctime + seconds end,
    reads = false,
  }
end

---So many seconds from the last access, read or write.
---@param seconds number
---@return lode.policy
function policy.idle (seconds)
  need_seconds("idle", seconds)
  return {
    name = "idle(" .. text_of(seconds) .. ")",
    expire = function (entry) return entry.atime + seconds end,
    reads = true,
  }
end

-- ==================================================================
-- From a function
-- ==================================================================

---At the time that `fn` gives, in seconds since the epoch, or never where it
---gives nil: policy.at(function (e) return e.value.ends end, "ends").
---@param fn lode.expire
---@param name? string "function" unless given
---@return lode.policy
function policy.at (fn, name)
  need_function("at", fn)
  if name ~= nil then need_name("at", name) end
  return { name = name or "function", expire = fn, reads = true }
end

---The same policy by this name: a new name for new rules makes a program
---that still has the old ones fail when it opens the collection.
---@param name string
---@param fn lode.expire|lode.policy
---@return lode.policy
function policy.named (name, fn)
  need_name("named", name)
  local p = policy_of("named", fn)
  return { name = name, expire = p.expire, reads = p.reads ~= false }
end

-- ==================================================================
-- From other policies
-- ==================================================================

-- What one of several policies answers: a number, or nil.
local function ask (p, entry)
  local time = p.expire(entry)
  if time == nil or type(time) == "number" and time == time then
    return time
  end
  core.raise("BAD_VALUE", ("the policy %s gave %s: it has to give the time "
    .. "at which an entry dies, in seconds since the epoch, or nil for never")
    :format(p.name, type(time) == "number" and "NaN" or "a " .. type(time)))
end

-- The policy that makes one answer of those of others. `choose` gets their
-- array and an entry.
local function combine (name, choose, ...)
  local policies, names, reads = {}, {}, false
  for i = 1, select("#", ...) do
    local p = policy_of(name, (select(i, ...)))
    policies[i], names[i] = p, p.name
    reads = reads or p.reads ~= false
  end
  if #policies == 0 then
    refuse(name, "takes one policy or more, as policy.%s(policy.idle(600), "
      .. "policy.age(86400)); it got none", name)
  end
  return {
    name = name .. "(" .. table.concat(names, ",") .. ")",
    expire = function (entry) return choose(policies, entry) end,
    reads = reads,
  }
end

local function earliest (policies, entry)
  local first
  for _, p in ipairs(policies) do
    local time = ask(p, entry)
    if time and (not first or time < first) then first = time end
  end
  return first
end

local function latest (policies, entry)
  local last
  for _, p in ipairs(policies) do
    local time = ask(p, entry)
    if not time then return nil end
    if not last or time > last then last = time end
  end
  return last
end

---As soon as the first of these policies says so.
---@param ... lode.expire|lode.policy
---@return lode.policy
function policy.any (...)
  return combine("any", earliest, ...)
end

---Not before the last of these policies says so; never, where one of them
---says never.
---@param ... lode.expire|lode.policy
---@return lode.policy
function policy.all (...)
  return combine("all", latest, ...)
end

return policy
