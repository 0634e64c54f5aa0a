-- Unicode on disk: loads the Unicode character database into dicts and sets,
-- asks it questions, closes the store, opens it again and compares.
--
--   lua5.4 examples/unicode.lua [UnicodeData.txt [directory]]

local lode = require "lode"
local dict, set = lode.dict, lode.set

local source = arg[1] or "/usr/share/unicode/UnicodeData.txt"
local path = arg[2] or os.tmpname()
if not arg[2] then os.remove(path) end        -- only the name is wanted

if not io.open(source) then
  io.stderr:write(source, " can't be read. Debian has it in the package ",
    "unicode-data;\nor give the path of UnicodeData.txt as first argument.\n")
  os.exit(1)
end

-- Which characters belong to which set.
local properties = {
  letters = function (r) return r.category:find "^L" end,
  capitals = function (r) return r.category == "Lu" end,
  punctuation = function (r) return r.category:find "^P" end,
  mirrored = function (r) return r.mirrored end,
  composed = function (r) return r.decomposition end,
  ["with lowercase"] = function (r) return r.lower end,
  Latin = function (r) return r.name:find "^LATIN " end,
  Greek = function (r) return r.name:find "^GREEK " end,
}

-- Walks the file: code point and record of each line.
local LINE = "^(%x+);([^;]*);(%a+);%d+;(%a+);([^;]*);[^;]*;[^;]*;[^;]*;(%a);"
  .. "[^;]*;[^;]*;(%x*);(%x*);"
local function records()
  local next_line = io.lines(source)
  return function ()
    local line = next_line()
    if not line then return end
    local code, name, category, bidi, parts, mirrored, upper, lower =
      line:match(LINE)
    return tonumber(code, 16), {
      name = name, category = category, bidi = bidi,
      mirrored = mirrored == "Y", decomposition = parts:match ".+",
      upper = tonumber(upper, 16), lower = tonumber(lower, 16),
    }
  end
end

local function number(n)                      -- 34924 as "34,924"
  local s = ("%.0f"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (s:gsub("^,", ""))
end
local function say(what, ...)
  print(("  %-31s %s"):format(what, table.concat({ ... }, ", ")))
end
local function measure(what, fn)              -- fn says how many it did
  local start = os.clock()
  local n = fn()
  local seconds = math.max(os.clock() - start, 1e-6)
  say(what, ("%9s in %7.1f ms,%11s/s"):format(number(n), seconds * 1000,
    number(n / seconds)))
end

local store = lode.open(path)
local chars = store:dict("chars", { key = "integer", value = "table" })
local codes = store:dict("codes", { key = "string", value = "integer" })
local by_category = store:set("by category", { key = "tuple" })
local sets = {}
for name in pairs(properties) do sets[name] = store:set(name) end

print("Loading " .. source)
measure("records, in one transaction", function ()
  return store:transaction(function ()
    for code, r in records() do
      chars[code] = r
      if not r.name:find "^<" then codes[r.name] = code end
      set.add(by_category, { r.category, code })
      for name, has in pairs(properties) do
        if has(r) then sets[name][code] = true end
      end
    end
    return #chars
  end)
end)
for name, kind in store:collections() do
  say(kind .. " " .. name, ("%9s"):format(number(#store[kind](store, name))))
end

say("entries in all", ("%9s"):format(number(store:stats().entries)))

local function u(code) return ("U+%04X %s"):format(code, chars[code].name) end
local function members(what, expr)            -- how many, and the first
  for code in set.each(expr, { limit = 1 }) do
    say(what, number(#expr) .. ", first " .. u(code))
  end
end

print "\nEntries and ranges"
say("chars[0xE9]", u(0xE9))
say("codes[\"GRINNING FACE\"]", u(codes["GRINNING FACE"]))
say("U+0378 is free, the next is", u((dict.next(chars, 0x378))))
for code, r in dict.pairs(chars, { from = 0x2190, to = 0x2192 }) do
  say(code == 0x2190 and "from U+2190 to U+2192" or "", u(code), r.bidi)
end
local small = { prefix = "LATIN SMALL LETTER " }
say("names LATIN SMALL LETTER ...", number(dict.count(codes, small)))
small.reverse, small.limit = true, 2
for name in dict.keys(codes, small) do say("  backwards", name) end
local money = { prefix = { "Sc" } }
say("tuples { \"Sc\", code }", number(set.count(by_category, money)))
money.limit = 2
for sign in set.each(by_category, money) do say("  in order", u(sign[2])) end

print "\nAlgebra of sets"
members("capitals - with lowercase", sets.capitals - sets["with lowercase"])
members("mirrored - punctuation", sets.mirrored - sets.punctuation)
members("(Latin + Greek) * composed",
  (sets.Latin + sets.Greek) * sets.composed)
members("capitals ^ with lowercase", sets.capitals ^ sets["with lowercase"])
say("capitals <= letters", tostring(sets.capitals <= sets.letters))

print "\nChanges"
local kept = pcall(store.transaction, store, function ()
  dict.clear(chars)
  error "so it never happened"
end)
say("a transaction that raised", kept and "was kept" or "was rolled back",
  number(#chars) .. " characters")
dict.update(chars, 0x41, function (r) r.note = "the first"; return r end)
say("U+0041 after dict.update", chars[0x41].name, chars[0x41].note)

print "\nSpeed, one core"
local all = {}
measure("keys walked", function ()
  for code in dict.keys(chars) do all[#all + 1] = code end
  return #all
end)
measure("records read, in no order", function ()
  for i = 1, #all do assert(chars[all[i * 7919 % #all + 1]]) end
  return #all
end)
measure("members of letters * composed", function ()
  return #(sets.letters * sets.composed)
end)

store:close()
store = lode.open(path, { readonly = true })
chars = store:dict "chars"
print "\nOpened again"
measure("records compared with the file", function ()
  for code, r in records() do
    local stored = chars[code]
    for field, v in pairs(r) do assert(stored[field] == v, field) end
  end
  return #chars
end)
say("size on disk", number(store:stats().file_size / 1024) .. " KiB")
store:close()
if not arg[2] then os.execute("rm -r " .. path) end
