-- A tag index: one set of books for each tag. Questions are expressions over
-- sets; each is answered in one ordered pass over what it names.
--
-- The store is the directory books.lode.

local lode = require "lode"
local dict, set = lode.dict, lode.set

local store = lode.open "books.lode"
local books = store:dict "books"

dict.put_many(books, {
  ["The Time Machine"] = { year = 1895, tags = { "novel", "sf" } },
  ["Frankenstein"] = { year = 1818, tags = { "novel", "sf", "horror" } },
  ["Dracula"] = { year = 1897, tags = { "novel", "horror" } },
  ["Emma"] = { year = 1815, tags = { "novel", "comedy" } },
  ["Erewhon"] = { year = 1872, tags = { "novel", "sf", "comedy" } },
  ["Twelfth Night"] = { year = 1602, tags = { "play", "comedy" } },
  ["R.U.R."] = { year = 1920, tags = { "play", "sf" } },
})

local function tagged(tag) return store:set("tag " .. tag) end

store:transaction(function ()
  for title, book in dict.pairs(books) do
    for _, tag in ipairs(book.tags) do set.add(tagged(tag), title) end
  end
end)

local sf, novel, play = tagged "sf", tagged "novel", tagged "play"
local comedy, horror = tagged "comedy", tagged "horror"

local function show(question, answer)
  local titles = {}
  for title in set.each(answer) do titles[#titles + 1] = title end
  print(("%-26s %s"):format(question, table.concat(titles, ", ")))
end

show("sf * novel", sf * novel)
show("comedy - play", comedy - play)
show("(horror + comedy) * sf", (horror + comedy) * sf)
show("sf ^ novel", sf ^ novel)

-- An expression can be kept as a set of its own.
local fun = set.save(comedy + sf - horror, store, "for the train")
show("for the train", fun)
print("with Emma in it: " .. tostring(fun["Emma"]))
print("no novel is a play: " .. tostring(set.disjoint(novel, play)))
store:close()
