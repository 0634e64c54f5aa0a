-- Ranges, pages and neighbours: API.md, "Dicts".

local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local fails, says, open = helper.fails, helper.says, helper.open

local function fresh (options)
  local store = open()
  return store:dict("d", options), store
end

local function letters ()
  local d, store = fresh()
  for c in ("abcdefgh"):gmatch "." do d[c] = c:upper() end
  return d, store
end

local function text (d, range)
  return table.concat(helper.keys(d, range))
end

describe("a range", function ()
  helper.watch()

  it("has from and to, both included", function ()
    local d = letters()
    assert.are.equal("cdef", text(d, { from = "c", to = "f" }))
    assert.are.equal("fgh", text(d, { from = "f" }))
    assert.are.equal("abc", text(d, { to = "c" }))
    assert.are.equal("c", text(d, { from = "c", to = "c" }))
    assert.are.equal("", text(d, { from = "f", to = "c" }))
    assert.are.equal("cd", text(d, { from = "bb", to = "dd" }))
  end)

  it("has after and before, both excluded", function ()
    local d = letters()
    assert.are.equal("de", text(d, { after = "c", before = "f" }))
    assert.are.equal("gh", text(d, { after = "f" }))
    assert.are.equal("ab", text(d, { before = "c" }))
    assert.are.equal("", text(d, { after = "c", before = "c" }))
    assert.are.equal("", text(d, { after = "c", before = "d" }))
    assert.are.equal("cd", text(d, { after = "bb", before = "dd" }))
    assert.are.equal("cd", text(d, { from = "c", before = "e" }))
    assert.are.equal("de", text(d, { after = "c", to = "e" }))
  end)

  it("in reverse has the same entries, backwards", function ()
    local d = letters()
    assert.are.equal("hgfedcba", text(d, { reverse = true }))
    assert.are.equal("fedc",
      text(d, { from = "c", to = "f", reverse = true }))
    assert.are.equal("ed",
      text(d, { after = "c", before = "f", reverse = true }))
    assert.are.equal("abc", text(d, { to = "c", reverse = false }))
    assert.are.equal("dc",
      text(d, { from = "bb", to = "dd", reverse = true }))
    assert.are.equal("h", text(d, { from = "gg", reverse = true }))
    assert.are.equal("", text(d, { from = "i", reverse = true }))
    assert.are.equal("", text(d, { to = "A", reverse = true }))
  end)

  it("has a limit", function ()
    local d = letters()
    assert.are.equal("abc", text(d, { limit = 3 }))
    assert.are.equal("hg", text(d, { limit = 2, reverse = true }))
    assert.are.equal("cd", text(d, { from = "c", limit = 2 }))
    assert.are.equal("", text(d, { limit = 0 }))
    assert.are.equal("abcdefgh", text(d, { limit = 100 }))
    assert.are.equal("abcdefgh", text(d, { limit = 2 ^ 40 }))
    assert.are.equal("abcdefgh", text(d, {}))
    assert.are.equal("abcdefgh", text(d))
  end)

  it("has a prefix: of a string a string", function ()
    local d = fresh()
    for _, k in ipairs { "a", "ab", "ab\0", "abc", "ab\255\255", "ac",
      "b", 1, true } do d[k] = 1 end
    d[{ "ab" }] = 1
    assert.are.same({ "ab", "ab\0", "abc", "ab\255\255" },
      helper.keys(d, { prefix = "ab" }))
    assert.are.same({ "ab\255\255", "abc", "ab\0", "ab" },
      helper.keys(d, { prefix = "ab", reverse = true }))
    assert.are.same({ "abc", "ab\255\255" },
      helper.keys(d, { prefix = "ab", from = "abb" }))
    assert.are.same({ "ab", "ab\0" },
      helper.keys(d, { prefix = "ab", limit = 2 }))
    assert.are.same({}, helper.keys(d, { prefix = "abx" }))
    assert.are.equal(7, #helper.keys(d, { prefix = "" }))
    d["\255"], d["\255\255"], d["\255\255a"] = 1, 1, 1
    assert.are.equal(2, dict.count(d, { prefix = "\255\255" }))
    assert.are.equal(3, dict.count(d, { prefix = "\255" }))
    assert.are.equal("\255\255a",
      helper.keys(d, { prefix = "\255", reverse = true })[1])
  end)

  it("has a prefix: of a tuple a shorter tuple", function ()
    local d = fresh()
    for year = 2024, 2026 do
      for month = 1, 3 do d[{ year, month }] = month end
      d[{ year }] = 0
    end
    d[{ 2025.5, 1 }], d[{ "2025", 1 }], d[2025] = 1, 1, 1
    assert.are.same({ { 2025 }, { 2025, 1 }, { 2025, 2 }, { 2025, 3 } },
      helper.keys(d, { prefix = { 2025 } }))
    assert.are.same({ { 2025, 2 } },
      helper.keys(d, { prefix = { 2025, 2 } }))
    assert.are.same({ { 2025, 2 }, { 2025, 3 } },
      helper.keys(d, { prefix = { 2025 }, after = { 2025, 1 } }))
    assert.are.equal(14, dict.count(d, { prefix = {} }))
    local s = fresh()
    s[{ "a" }], s[{ "ab" }], s[{ "a", "b" }], s[{ "a\0" }] = 1, 1, 1, 1
    assert.are.same({ { "a" }, { "a", "b" } },
      helper.keys(s, { prefix = { "a" } }))
  end)

  it("isn't fooled by integers that no float equals", function ()
    if not helper.integers then return end
    local d = fresh()
    local big = helper.eval "1 << 53"
    for i = 0, 4 do
      d[{ big + i }] = i
      d[{ big + i, "x" }] = i
    end
    for i = 0, 4 do
      assert.are.same({ { big + i }, { big + i, "x" } },
        helper.keys(d, { prefix = { big + i } }))
    end
  end)

  it("with any other field raises BAD_ARGUMENT", function ()
    local d = letters()
    for _, fn in ipairs { dict.pairs, dict.keys, dict.values, dict.count,
      dict.page, dict.delete_range } do
      says(fails("BAD_ARGUMENT", fn, d, { form = "a" }), "form")
      fails("BAD_ARGUMENT", fn, d, { "a" })
      fails("BAD_ARGUMENT", fn, d, { limit = "2" })
      fails("BAD_ARGUMENT", fn, d, { limit = -1 })
      fails("BAD_ARGUMENT", fn, d, { limit = 1.5 })
      fails("BAD_ARGUMENT", fn, d, { reverse = 1 })
      fails("BAD_ARGUMENT", fn, d, { prefix = 1 })
      fails("BAD_ARGUMENT", fn, d, { prefix = true })
      fails("BAD_ARGUMENT", fn, d, "a")
      fails("BAD_KEY", fn, d, { from = print })
      fails("BAD_KEY", fn, d, { before = 0 / 0 })
    end
    assert.are.equal(8, #d)
  end)

  it("may not say the same end twice", function ()
    local d = letters()
    fails("BAD_ARGUMENT", dict.keys, d, { from = "a", after = "a" })
    fails("BAD_ARGUMENT", dict.keys, d, { to = "a", before = "a" })
  end)

  it("is read when the call is made", function ()
    local d = letters()
    local range = { from = "c", limit = 2 }
    local walk = dict.keys(d, range)
    range.from, range.limit = "a", 5
    assert.are.equal("c", walk())
    assert.are.equal("d", walk())
    assert.is_nil(walk())
  end)

  it("bounds keys of all types", function ()
    local d = fresh()
    for _, k in ipairs { false, true, -1, 2.5, "a", "b" } do d[k] = 1 end
    d[{ 1 }], d[{ 2 }] = 1, 1
    assert.are.same({ -1, 2.5, "a" },
      helper.keys(d, { after = true, to = "a" }))
    assert.are.same({ { 1 }, { 2 } }, helper.keys(d, { after = "b" }))
    assert.are.same({ false }, helper.keys(d, { to = false }))
    assert.are.same({ "b", { 1 } },
      helper.keys(d, { from = "b", before = { 2 } }))
    assert.are.same({ -1, 2.5 },
      helper.keys(d, { from = -1 / 0, to = 1 / 0 }))
  end)
end)

describe("dict.pairs, keys, values and count", function ()
  helper.watch()

  it("walk and count a range", function ()
    local d = letters()
    assert.are.same({ { "c", "C" }, { "d", "D" } },
      helper.collect(true, dict.pairs(d, { from = "c", to = "d" })))
    assert.are.same({ "c", "d" },
      helper.collect(false, dict.keys(d, { from = "c", to = "d" })))
    assert.are.same({ "D", "C" }, helper.collect(false,
      dict.values(d, { from = "c", to = "d", reverse = true })))
    assert.are.equal(2, dict.count(d, { from = "c", to = "d" }))
    assert.are.equal(8, dict.count(d))
    assert.are.equal(8, dict.count(d, {}))
    assert.are.equal(3, dict.count(d, { limit = 3 }))
    assert.are.equal(0, dict.count(d, { from = "x" }))
  end)

  it("give false as a value, and go on", function ()
    local d = fresh()
    d.a, d.b = false, 1
    assert.are.same({ { "a", false }, { "b", 1 } },
      helper.collect(true, dict.pairs(d)))
    assert.are.same({ false, 1 }, helper.collect(false, dict.values(d)))
    d[false] = 2
    local walk = dict.keys(d)
    assert.is_false(walk())
    assert.are.equal("a", walk())
  end)
end)

describe("dict.delete_range", function ()
  helper.watch()

  it("removes what the range has, and gives the number", function ()
    local d = letters()
    assert.are.equal(2, dict.delete_range(d, { from = "c", to = "d" }))
    assert.are.equal("abefgh", text(d))
    assert.are.equal(0, dict.delete_range(d, { from = "x" }))
    assert.are.equal(1, dict.delete_range(d, { limit = 1 }))
    assert.are.equal("befgh", text(d))
    assert.are.equal(2,
      dict.delete_range(d, { limit = 2, reverse = true }))
    assert.are.equal("bef", text(d))
    assert.are.equal(3, dict.delete_range(d, {}))
    assert.are.equal(0, #d)
  end)

  it("removes thousands at once, or none", function ()
    local d, store = fresh()
    for i = 1, 5000 do d[i] = ("x"):rep(50) end
    local before = store:version()
    assert.are.equal(4990, dict.delete_range(d, { from = 6, to = 4995 }))
    assert.are.equal(before + 1, store:version())
    assert.are.equal(10, #d)
    assert.are.same({ 1, 2, 3, 4, 5, 4996, 4997, 4998, 4999, 5000 },
      helper.keys(d))
  end)

  it("wants a range", function ()
    local d = letters()
    fails("BAD_ARGUMENT", dict.delete_range, d)
    assert.are.equal(8, #d)
  end)
end)

describe("dict.page", function ()
  helper.watch()

  local function all_pages (d, range)
    local pages = {}
    while range do
      local page
      page, range = dict.page(d, range)
      pages[#pages + 1] = page
    end
    return pages
  end

  it("gives an array of {key, value} and the next page's range",
    function ()
      local d = letters()
      local page, rest = dict.page(d, { limit = 3 })
      assert.are.same({ { "a", "A" }, { "b", "B" }, { "c", "C" } }, page)
      page, rest = dict.page(d, rest)
      assert.are.same({ { "d", "D" }, { "e", "E" }, { "f", "F" } }, page)
      page, rest = dict.page(d, rest)
      assert.are.same({ { "g", "G" }, { "h", "H" } }, page)
      assert.is_nil(rest)
    end)

  it("gives nil after the last entry, also when it fills the page",
    function ()
      local d = letters()
      local page, rest = dict.page(d, { limit = 8 })
      assert.are.equal(8, #page)
      assert.is_nil(rest)
      dict.clear(d)
      page, rest = dict.page(d, {})
      assert.are.same({}, page)
      assert.is_nil(rest)
    end)

  it("goes through any range, either way", function ()
    local d = fresh()
    for i = 1, 57 do
      d[i] = i
      d[("k"):rep(600) .. i] = i
    end
    for _, range in ipairs {
      {}, { reverse = true }, { from = 5, to = 40 },
      { after = 5, before = 40, reverse = true }, { prefix = "k" },
      { prefix = "k", reverse = true },
    } do
      local whole = helper.collect(true, dict.pairs(d, range))
      for _, size in ipairs { 1, 7, 10, 200 } do
        range.limit = size
        local got = {}
        for _, page in ipairs(all_pages(d, range)) do
          assert.is_true(#page <= size and #page > 0)
          for _, pair in ipairs(page) do got[#got + 1] = pair end
        end
        assert.are.same(whole, got)
      end
      range.limit = nil
    end
  end)

  it("has 100 entries when no limit is given", function ()
    local d = fresh()
    for i = 1, 250 do d[i] = i end
    local pages = all_pages(d, {})
    assert.are.equal(3, #pages)
    assert.are.equal(100, #pages[1])
    assert.are.equal(50, #pages[3])
  end)

  it("gives a range that can be kept, plain and storable", function ()
    local d, store = letters()
    local _, rest = dict.page(d, { limit = 3, to = "g" })
    store:dict("bookmarks").mine = rest
    d.d = nil
    local page = dict.page(d, store:dict("bookmarks").mine)
    assert.are.same({ { "e", "E" }, { "f", "F" }, { "g", "G" } }, page)
  end)

  it("leaves the range alone that it is given", function ()
    local d = letters()
    local range = { limit = 3 }
    dict.page(d, range)
    assert.are.same({ limit = 3 }, range)
  end)

  it("holds no snapshot between calls", function ()
    local d, store = letters()
    local before = store:stats().readers
    local _, rest = dict.page(d, { limit = 2 })
    assert.are.equal(before, store:stats().readers)
    d.bb = "new"
    local page = dict.page(d, rest)
    assert.are.same({ "bb", "new" }, page[1])
  end)
end)

describe("dict.first, last, next and prev", function ()
  helper.watch()

  it("first and last give the ends, nil when empty", function ()
    local d = fresh()
    assert.is_nil((dict.first(d)))
    assert.is_nil((dict.last(d)))
    d.b, d.a, d.c = 2, 1, false
    assert.are.same({ "a", 1 }, { dict.first(d) })
    assert.are.same({ "c", false }, { dict.last(d) })
  end)

  it("next and prev give the neighbour, whether k is there or not",
    function ()
      local d = letters()
      assert.are.same({ "c", "C" }, { dict.next(d, "b") })
      assert.are.same({ "c", "C" }, { dict.next(d, "bb") })
      assert.are.same({ "a", "A" }, { dict.prev(d, "b") })
      assert.are.same({ "b", "B" }, { dict.prev(d, "bb") })
      assert.is_nil((dict.next(d, "h")))
      assert.is_nil((dict.prev(d, "a")))
      assert.is_nil((dict.next(d, "z")))
      assert.is_nil((dict.prev(d, 1)))
      assert.are.same({ "a", "A" }, { dict.next(d, true) })
      assert.are.same({ "h", "H" }, { dict.prev(d, { 1 }) })
    end)

  it("next and prev without a key begin at the ends", function ()
    local d = letters()
    assert.are.same({ "a", "A" }, { dict.next(d) })
    assert.are.same({ "h", "H" }, { dict.prev(d) })
    assert.are.same({ "a", "A" }, { dict.next(d, nil) })
    dict.clear(d)
    assert.is_nil((dict.next(d)))
    assert.is_nil((dict.prev(d)))
  end)

  it("walk the whole dict as next does a table", function ()
    local d = letters()
    local got = {}
    for k, v in dict.next, d do got[#got + 1] = k .. v end
    assert.are.equal("aA bB cC dD eE fF gG hH", table.concat(got, " "))
  end)
end)
