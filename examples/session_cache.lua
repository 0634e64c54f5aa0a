-- Sessions that end after half an hour without use, and after eight hours
-- whatever happens. Looking a session up is using it: that is a read, and
-- writes nothing.
--
-- The store is the directory sessions.lode. Its clock is a variable, so that
-- hours pass here at once; leave the option out for the real time.

local lode = require "lode"
local dict, policy = lode.dict, lode.policy

local now = os.time { year = 2026, month = 11, day = 20, hour = 9 }
local store = lode.open("sessions.lode", {
  clock = function () return now end,
})
local sessions = store:dict("sessions", {
  expire = policy.any(policy.idle(30 * 60), policy.age(8 * 3600)),
})
dict.clear(sessions)

local function say(text, ...)
  print(os.date("%H:%M  ", now) .. text:format(...))
end

-- One request: the user's name, or nil when there is no such session.
local function request(token)
  local session = sessions[token]
  say("%s: %s", token, session and "hello " .. session.user
    or "please log in")
  return session and session.user
end

sessions.t1 = { user = "ada" }
sessions.t2 = { user = "bob" }
say("ada and bob log in")

now = now + 25 * 60
request "t1"
now = now + 25 * 60
request "t1"                        -- used since then, so it is still there
request "t2"                        -- 50 minutes without use: gone
say("open sessions: %d, still in the file: %d", #sessions,
  #sessions + dict.stats(sessions).expired)

-- All day, every 20 minutes: eight hours after the log-in it ends as well.
local requests = 0
while sessions.t1 do
  now, requests = now + 20 * 60, requests + 1
end
say("t1: please log in, after %d more requests", requests)

say("swept away: %d", (store:maintain()))
store:close()
