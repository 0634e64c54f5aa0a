-- A dict that holds 100 entries at most, as a cache: who goes when it is
-- full? Forty pages are asked for all the time; now and then somebody reads
-- through all of the archive, once. The five ways to choose, compared.
--
-- The store is the directory pages.lode.

local lode = require "lode"
local dict = lode.dict

local store = lode.open("pages.lode", { durability = "os" })
local MOST, HOT, ARCHIVE = 100, 40, 300

-- Gives the page, from the dict if it is there. True: it was.
local function ask(pages, name)
  if pages[name] then return true end      -- a read, which is noted
  pages[name] = "the text of " .. name     -- here something slow is done
  return false
end

-- 20 visits of each hot page, then the archive; all of it five times over.
local function traffic(pages)
  local asked, hits = 0, 0
  local function visit(name)
    asked = asked + 1
    if ask(pages, name) then hits = hits + 1 end
  end
  for _ = 1, 5 do
    for _ = 1, 20 do
      for i = 1, HOT do visit("hot " .. i) end
    end
    for i = 1, ARCHIVE do visit("archive " .. i) end
  end
  return hits / asked
end

print(("%d entries, %d hot pages, an archive of %d"):format(
  MOST, HOT, ARCHIVE))
for _, way in ipairs { "sieve", "lru", "lfu", "fifo" } do
  local pages = store:dict("by " .. way, { max_entries = MOST, evict = way })
  dict.clear(pages)
  local share = traffic(pages)
  local hot = dict.count(pages, { prefix = "hot " })
  print(("%-8s %4.1f %% found, %2d hot pages there at the end, %d entries")
    :format(way, share * 100, hot, #pages))
end

-- A function of one's own: the lowest number goes first.
local pages = store:dict("by name", {
  max_entries = MOST,
  evict = function (e) return e.key:find "^hot" and 1 or 0 end,
})
dict.clear(pages)
print(("%-8s %4.1f %% found"):format("by name", traffic(pages) * 100))
store:close()
