-- The kinds of collections that the model test has, as far as time goes:
-- what lode is told of each, and what the oracle is (see oracle.lua).
--
-- A kind is a function(r, told, upvalue) that gives two tables: `options` for
-- lode; `life` for the oracle. `told` is an on_expire; `upvalue` is a table
-- whose field `limit` grows.

local policy = require "lode.policy"

local lives = {}

function lives.plain ()
  return {}, {}
end

function lives.brief ()
  return { ttl = 25 }, { ttl = 25 }
end

function lives.timed ()
  return { times = true }, { times = true }
end

function lives.brief_timed ()
  return { ttl = 25, times = true }, { ttl = 25, times = true }
end

-- A collection with a policy of lode's, and what that means. `unread`: it
-- asks for no reads, so none are noted.
local function by (expire, means, unread)
  return { expire = expire }, { times = true, policy = means,
    unread = unread }
end

function lives.idle ()
  return by(policy.idle(25), function (t) return t.atime + 25 end)
end

function lives.age ()
  return by(policy.age(40), function (t) return t.ctime + 40 end,
    true)
end

function lives.any ()
  return by(policy.any(policy.idle(20), policy.age(50)), function (t)
    return math.min(t.atime + 20, t.ctime + 50)
  end)
end

function lives.all ()
  return by(policy.all(policy.ttl(20), policy.age(40)), function (t)
    return math.max(t.mtime + 20, t.ctime + 40)
  end, true)
end

-- A policy of the user's, with an upvalue: nothing that was read often dies.
function lives.loved (_, _, upvalue)
  return by(function (e)
    if e.hits < 4 then return e.mtime + upvalue.limit end
  end, function (t)
    if t.hits < 4 then return t.mtime + upvalue.limit end
  end)
end

function lives.mourned (_, told)
  return { ttl = 25, on_expire = told }, { ttl = 25, told = true }
end

function lives.idle_mourned (_, told)
  local options, life = lives.idle()
  options.on_expire, life.told = told, true
  return options, life
end

local EVICT = { "sieve", "lru", "lfu", "fifo", "ttl" }

-- A cap, with one of the ways to choose who goes, or none given.
function lives.capped (r, told)
  local evict = EVICT[r:int(6)]
  local life = { told = true, capped = true, most = 9 + r:int(30),
    evict = evict, times = r:one_in(4) or nil, ttl = r:one_in(4) and 40 or nil }
  return { max_entries = life.most, evict = evict, times = life.times,
    ttl = life.ttl, on_expire = told }, life
end

-- The rank of a value: what makes it like no other, or a number itself.
function lives.rank (value)
  return type(value) == "table" and value[1] or value
end

-- Whose value has the lowest number goes first.
function lives.ranked (r, told)
  local most = 9 + r:int(30)
  return { max_entries = most, on_expire = told, evict = function (e)
    return lives.rank(e.value)
  end }, { told = true, capped = true, most = most, evict = "rank",
    times = true }
end

-- A cap of bytes: each of the values has some ten.
function lives.weighed (r, told)
  local most = 20000 + 1000 * r:int(20)
  return { max_bytes = most, on_expire = told, evict = EVICT[r:int(6)] },
    { told = true, capped = true, bytes = most }
end

lives.of_dicts = { "brief", "timed", "brief_timed", "idle", "age", "any",
  "all", "loved", "mourned", "idle_mourned", "capped", "ranked", "weighed" }
lives.of_sets = { "brief", "brief_timed", "idle", "any", "loved", "mourned" }

return lives
