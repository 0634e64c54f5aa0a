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

-- ==================================================================
-- Policies
-- ==================================================================

---What makes policies: `lode.policy`.
---@class lode.policies
local policy = {}

---What a policy is asked about. Times are in seconds since the epoch.
---@class lode.entry
---The whole key.
---@field key lode.key
---Its value, decoded; of a set's member true.
---@field value any
---When it was first written.
---@field ctime number
---When it was last written.
---@field mtime number
---When it was last read or written.
---@field atime number
---How often it was read.
---@field hits integer
---Bytes of key and value.
---@field size integer
---When it dies, as far as it is known; nil: never.
---@field expires number?
---The time now.
---@field now number

---A policy in short: it answers when the entry dies, in seconds since the
---epoch; nil: never. It is asked when the entry is written, and again when the
---time that it gave has come; so it should answer the same as long as the
---entry is the same. One that raises undoes the write that it was asked for;
---in a sweep the error is logged, and the entry stays.
---```lua
---local trials = store:dict("trials", {
---  expire = function (e)
---    if e.value.plan == "free" then return e.ctime + 14 * 86400 end
---  end,
---})
---trials.ada, trials.bob = { plan = "free" }, { plan = "pro" }
---now = now + 14 * 86400
---print(trials.ada, trials.bob.plan)                        --> nil pro
---```
---@alias lode.expire fun(entry: lode.entry): number?

---A policy with what has to be known about it besides.
---@class lode.policy
---Kept with the collection, and compared when it is opened again.
---@field name string
---Answers when an entry dies.
---@field expire lode.expire
---Unless false, the answer depends on atime or hits, so reads are noted.
---@field reads boolean?

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
-- Policies: from one time of the entry
-- ==================================================================

---So many seconds from the last write. Raises BAD_ARGUMENT unless that is a
---number above 0, as all of them do.
---```lua
---local d = store:dict("d", { expire = policy.ttl(60) })
---d.a = 1
---print(dict.ttl(d, "a"))                                   --> 60.0
---```
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
---```lua
---local d = store:dict("d", { expire = policy.age(60) })
---d.a = 1
---now = now + 50
---d.a = 2
---print(dict.ttl(d, "a"))                                   --> 10.0
---```
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
---```lua
---local d = store:dict("d", { expire = policy.idle(60) })
---d.a = 1
---now = now + 50
---print(d.a)                                                --> 1
---now = now + 50
---print(d.a)                                                --> 1
---```
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
-- Policies: from a function
-- ==================================================================

---At the time that `fn` gives, in seconds since the epoch, or never where it
---gives nil.
---```lua
---local ends = policy.at(function (e) return e.value.ends end, "ends")
---local sales = store:dict("sales", { expire = ends })
---sales.shoes = { ends = now + 3600 }
---print(dict.ttl(sales, "shoes"))                           --> 3600.0
---```
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
---```lua
---local rule = policy.named("rules of 2026", policy.age(60))
---print(rule.name, rule.reads)                      --> rules of 2026 false
---```
---@param name string
---@param fn lode.expire|lode.policy
---@return lode.policy
function policy.named (name, fn)
  need_name("named", name)
  local p = policy_of("named", fn)
  return { name = name, expire = p.expire, reads = p.reads ~= false }
end

-- ==================================================================
-- Policies: from other policies
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
---```lua
---local rule = policy.any(policy.idle(1800), policy.age(86400))
---print(rule.name)                             --> any(idle(1800),age(86400))
---```
---@param ... lode.expire|lode.policy
---@return lode.policy
function policy.any (...)
  return combine("any", earliest, ...)
end

---Not before the last of these policies says so; never, where one of them
---says never.
---```lua
---local d = store:dict("d", {
---  expire = policy.all(policy.ttl(60), policy.age(90)),
---})
---d.a = 1
---print(dict.ttl(d, "a"))                                   --> 90.0
---```
---@param ... lode.expire|lode.policy
---@return lode.policy
function policy.all (...)
  return combine("all", latest, ...)
end

return policy
