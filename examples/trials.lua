-- A policy in Lua: accounts on trial end after 14 days, those that pay stay,
-- and those that a person has extended end when it says there. What ends
-- goes to an archive, in the same transaction.
--
-- The store is the directory trials.lode. Its clock is a variable, so that
-- weeks pass here at once; leave the option out for the real time.

local lode = require "lode"
local dict, policy = lode.dict, lode.policy

local DAY = 86400
local start = os.time { year = 2026, month = 11, day = 1, hour = 12 }
local now = start
local store = lode.open("trials.lode", { clock = function () return now end })
local archive = store:dict "archive"

-- It answers when the account dies: a time, or nil for never. Its name is
-- kept: a program with other rules takes another one, and says `rearm`.
local rules = policy.named("trials 1", function (e)
  if e.value.plan == "paid" then return nil end
  return e.value.extended or e.ctime + 14 * DAY
end)

local accounts = store:dict("accounts", {
  expire = rules,
  on_expire = function (name, account, entry)
    account.ended = entry.expires
    archive[name] = account
  end,
})
dict.clear(accounts)
dict.clear(archive)

local function show()
  local names = {}
  for name in dict.keys(accounts) do names[#names + 1] = name end
  print(("day %2d  accounts: %-12s  archive: %d"):format(
    (now - start) / DAY, table.concat(names, " "), #archive))
end
local function change(name, field, value)    -- and the policy is asked again
  dict.update(accounts, name, function (a) a[field] = value; return a end)
end

for _, name in ipairs { "ada", "bob", "cy" } do
  accounts[name] = { plan = "trial" }
end
show()
now = start + 10 * DAY
change("ada", "plan", "paid")
change("bob", "extended", start + 20 * DAY)
show()
now = start + 15 * DAY                       -- cy is gone, but not yet swept
show()
print("swept: " .. store:maintain())
show()
now = start + 21 * DAY
print("swept: " .. store:maintain())
show()
for name, account in dict.pairs(archive) do
  print(("%s ended on day %d"):format(name, (account.ended - start) / DAY))
end
store:close()
