-- What one process of the soak does: entries of its own come and go in
-- collections that all processes share, and each answer is compared with
-- what this process knows must be true.
--
-- It knows when an entry dies to the millisecond: a write between two looks
-- at the clock gives a deadline between two times. A read that ended before
-- the first must find the entry, one that began after the second must not;
-- in between either is right.

local lode = require "lode"
local luv = require "luv"
local random = require "model.random"

local dict, set, policy = lode.dict, lode.set, lode.policy

local churn = {}

-- What all processes agree on. Sizes are the most that may be alive at once.
churn.KEYS = 250         -- of each process, in each of its collections
churn.VALUE = 400        -- bytes of the longest value
churn.CAP = 500          -- entries of "capped"
churn.BYTES = 65536      -- of "heavy"
churn.SLACK = 16         -- that a cap may be passed by
local IDLE = 0.3         -- seconds
local LONGEST = 700      -- ms that an entry with a ttl lives

-- Milliseconds since the epoch, as lode has them.
local function now_ms ()
  local seconds, us = luv.gettimeofday()
  return seconds * 1000 + math.floor(us / 1000)
end
churn.now_ms = now_ms

-- Opens the collections; the functions that they need are the same in every
-- process. `archive` counts by process what died of "sessions".
function churn.open (path, mode)
  local store = lode.open(path, {
    durability = "os", maintenance = mode, lock_timeout = 120,
  })
  local on = { store = store }
  on.archive = store:dict "archive"
  on.mortal = store:dict "mortal"
  on.members = store:set "members"
  on.idle = store:dict("idle", { expire = policy.idle(IDLE) })
  on.sessions = store:dict("sessions", {
    on_expire = function (key) dict.incr(on.archive, key[1]) end,
  })
  on.capped = store:dict("capped", { max_entries = churn.CAP })
  on.heavy = store:dict("heavy", { max_bytes = churn.BYTES, evict = "lru" })
  return on
end

-- Raises unless an answer is right; counts it.
local function new_judge (who)
  local judge = { checks = 0 }
  function judge.that (holds, what, ...)
    judge.checks = judge.checks + 1
    if not holds then
      error(("process %d, check %d: "):format(who, judge.checks)
        .. what:format(...), 2)
    end
  end
  return judge
end

-- A value that tells whose it is, and of which step.
local function make_value (r, who, i, n)
  return ("%d/%d/%d/"):format(who, i, n) .. ("."):rep(r:int(churn.VALUE) - 20)
end

-- What is known of entries of one collection, by number: `value`, and the
-- first and last moment at which it may die; infinite: never.
local function must_be_there (e, ended) return e and ended < e.first end
local function must_be_gone (e, began) return not e or began >= e.last end

local function check (judge, name, i, e, began, value, ended)
  if value == nil then
    judge.that(not must_be_there(e, ended), "%s %d died early: at %d, "
      .. "not %d", name, i, began, e and e.first or 0)
  else
    judge.that(not must_be_gone(e, began), "%s %d is there at %d, and died "
      .. "at %d", name, i, began, e and e.last or 0)
    judge.that(e.value == value, "%s %d is %s, not %s", name, i,
      tostring(value), tostring(e.value))
  end
end

-- Lifetimes from a write between two moments.
local function lives (value, began, ended, ttl)
  return { value = value, first = began + ttl, last = ended + ttl }
end

local steps = {}

-- Each life has a key of its own: what nobody swept would pile up.
local function mortal_key (w, i)
  return { w.who, i, w.known.mortal[i] and w.known.mortal[i].n or 0 }
end

-- Puts an entry: a new one where the last has ended.
local function put_mortal (w, i, value, ttl)
  local e, began = w.known.mortal[i], now_ms()
  if not e or must_be_gone(e, began) then e = { n = w.n } end
  dict.set(w.on.mortal, { w.who, i, e.n }, value, ttl / 1000)
  local new = lives(value, began, now_ms(), ttl)
  new.n = e.n
  return new
end

function steps.mortal (w)
  local r, i = w.r, w.r:int(churn.KEYS)
  local key, known, began = mortal_key(w, i), w.known.mortal, now_ms()
  local what = r:int(10)
  if what <= 4 then
    known[i] = put_mortal(w, i, make_value(r, w.who, i, w.n), r:int(LONGEST))
  elseif what == 5 then
    local there = dict.delete(w.on.mortal, key)
    check(w.judge, "deleted", i, known[i], began,
      there and known[i].value or nil, now_ms())
    known[i] = nil
  elseif what == 6 then
    local there = dict.expire(w.on.mortal, key, 0.05)
    local ended = now_ms()
    check(w.judge, "prolonged", i, known[i], began,
      there and known[i].value or nil, ended)
    if there then
      known[i].first, known[i].last = began + 50, ended + 50
    else
      known[i] = nil
    end
  else
    local value = w.on.mortal[key]
    check(w.judge, "mortal", i, known[i], began, value, now_ms())
  end
end

-- Several at once, or none of them.
function steps.batch (w)
  local r, known, values, put = w.r, w.known.mortal, {}, {}
  local ttl, undone = r:int(LONGEST), r:one_in(3)
  for _ = 1, r:int(20) do
    local i = r:int(churn.KEYS)
    values[i] = make_value(r, w.who, i, w.n)
  end
  local ok, e = pcall(w.on.store.transaction, w.on.store, function ()
    for i, value in pairs(values) do put[i] = put_mortal(w, i, value, ttl) end
    if undone then error(w) end
  end)
  if not ok and e ~= w then error(e, 0) end
  if undone then return end
  for i, e_new in pairs(put) do known[i] = e_new end
end

function steps.members (w)
  local i = w.r:int(churn.KEYS)
  local member, known, began = { w.who, i }, w.known.members, now_ms()
  if w.r:one_in(2) then
    local ttl = w.r:int(LONGEST)
    local new = set.add(w.on.members, member, ttl / 1000)
    local ended = now_ms()
    check(w.judge, "added", i, known[i], began, not new or nil, ended)
    known[i] = lives(true, began, ended, ttl)
  else
    local there = w.on.members[member]
    check(w.judge, "member", i, known[i], began, there, now_ms())
  end
end

-- Reads of other processes may be unknown here and there, so an idle entry
-- may live longer than its last write says, and than its last read no more.
function steps.idle (w)
  local i = w.r:int(churn.KEYS)
  local key, known, began = { w.who, i }, w.known.idle, now_ms()
  if w.r:one_in(4) then
    local value = make_value(w.r, w.who, i, w.n)
    w.on.idle[key] = value
    known[i] = lives(value, began, now_ms(), IDLE * 1000)
  else
    local value = w.on.idle[key]
    local ended = now_ms()
    check(w.judge, "idle", i, known[i], began, value, ended)
    if value then known[i].last = ended + IDLE * 1000 end
  end
end

-- A new life only where the last one has ended: each ends once.
function steps.sessions (w)
  local i = w.r:int(churn.KEYS)
  local known, ttl, began = w.known.sessions, w.r:int(LONGEST), now_ms()
  local new = dict.add(w.on.sessions, { w.who, i }, w.n, ttl / 1000)
  local ended = now_ms()
  check(w.judge, "session", i, known[i], began,
    not new and known[i] and known[i].value or nil, ended)
  if not new then return end
  known[i] = lives(w.n, began, ended, ttl)
  w.begun = w.begun + 1
end

function steps.capped (w)
  local key = w.r:int(4 * churn.CAP)
  if w.on.capped[key] == nil then
    w.on.capped[key] = w.who
    w.judge.that(#w.on.capped <= churn.CAP + churn.SLACK,
      "%d entries are capped", #w.on.capped)
  end
end

function steps.heavy (w)
  local d, key = w.on.heavy, w.r:int(1000)
  if d[key] == nil then d[key] = make_value(w.r, w.who, key, w.n) end
  if not w.r:one_in(20) then return end
  local bytes = 0
  w.on.store:snapshot(function ()
    for k in dict.keys(d) do
      local info = dict.info(d, k)
      bytes = bytes + (info and info.size or 0)
    end
  end)
  w.judge.that(bytes <= churn.BYTES, "%d bytes are heavy", bytes)
end

-- All of one's own, at one moment, or as it goes.
function steps.walk (w)
  local range = { prefix = { w.who }, reverse = w.r:one_in(2) }
  local function walk ()
    local seen, began, last = {}, now_ms(), nil
    for key, value in dict.pairs(w.on.mortal, range) do
      local i, e = key[2], w.known.mortal[key[2]]
      w.judge.that(key[1] == w.who and not seen[i] and (not last
        or (i > last) ~= range.reverse), "the walk has %d after %s", i,
        tostring(last))
      w.judge.that(e and e.n == key[3], "the walk has a life of %d that "
        .. "has ended", i)
      seen[i], last = value, i
    end
    local ended = now_ms()
    for i = 1, churn.KEYS do
      check(w.judge, "walked", i, w.known.mortal[i], began, seen[i], ended)
    end
  end
  if w.r:one_in(2) then walk() else w.on.store:snapshot(walk) end
end

local LIKELY = { -- how often, of 100
  mortal = 35, batch = 5, members = 15, idle = 15, sessions = 14,
  capped = 10, heavy = 5, walk = 1,
}

local function new_worker (on, who)
  local w = {
    on = on, who = who, n = 0, begun = 0, judge = new_judge(who),
    r = random.new(who), order = {},
    known = { mortal = {}, members = {}, idle = {}, sessions = {} },
  }
  for name, times in pairs(LIKELY) do
    for _ = 1, times do w.order[#w.order + 1] = name end
  end
  table.sort(w.order)
  return w
end

-- Runs for so many seconds; gives the number of steps, of checks, of sessions
-- that were begun, and how many ms the longest step took.
function churn.run (path, who, seconds, mode)
  local on = churn.open(path, mode)
  local w = new_worker(on, who)
  local until_ms = now_ms() + seconds * 1000
  local maintained, longest = 0, 0
  while now_ms() < until_ms do
    local began = now_ms()
    w.n = w.n + 1
    steps[w.r:pick(w.order)](w)
    longest = math.max(longest, now_ms() - began)
    if mode == "off" and now_ms() - maintained > 50 then
      on.store:maintain { ms = 5 }
      maintained = now_ms()
    end
  end
  on.store:close()
  return w.n, w.judge.checks, w.begun, longest
end

return churn
