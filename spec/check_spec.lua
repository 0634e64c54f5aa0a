-- store:check, lode.check, lode.repair and the option `check`: what users
-- hear of damage, and what is done about it. That every damage is found
-- out, and mended or salvaged, is for spec/c/test_damage.c and test_repair.c.

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local fails = helper.fails

-- The bytes of a file, or of the data file of a store.
local function bytes_of (path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "*a"
  file:close()
  return bytes
end

local function write_bytes (path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  file:close()
end

describe("a check", function ()
  local path, store, d

  after_each(function () -- so that they can be collected
    store, d = nil, nil
  end)

  helper.watch()

  before_each(function ()
    path = helper.path()
    store = helper.open({}, path)
    d = store:dict "users"
    store:transaction(function ()
      for i = 1, 500 do d["name " .. i] = "the value of " .. i end
    end)
    set.add(store:set "staff", "ada")
  end)

  -- Flips a bit of the value of an entry, in every copy that there is.
  local function damage (i)
    store:close()
    local file = path .. "/data.mdb"
    local bytes = bytes_of(file)
    local value = "the value of " .. i
    local n
    bytes, n = bytes:gsub(value, (value:gsub("^the", "tha")))
    assert(n > 0)
    write_bytes(file, bytes)
  end

  it("finds a sound store sound, and counts", function ()
    local report = store:check()
    assert.is_true(report.ok)
    assert.are.equal(501, report.entries)
    assert.are.equal(2, report.collections)
    assert.are.same({}, report.problems)
    assert.is_true(report.bytes > 0)
    assert.is_nil(report.mended)
  end)

  it("works on a read-only store, in a snapshot and in a transaction",
     function ()
    assert.is_true(store:snapshot(function () return store:check().ok end))
    store:transaction(function ()
      d.more = "seen when it is committed"
      assert.are.equal(501, store:check().entries)
    end)
    assert.are.equal(502, store:check().entries)
    store:close()
    local reader = helper.open({ readonly = true }, path)
    assert.is_true(reader:check().ok)
    fails("READONLY", function ()
      reader:check { repair = true }
    end)
  end)

  it("tells its progress in bytes, while the store is written to",
     function ()
    local big = store:dict "big"
    store:transaction(function ()
      for i = 1, 3000 do big[i] = ("x"):rep(3000) end
    end)
    local last, calls, total = 0, 0, nil
    local report = store:check { progress = function (done, of)
      assert.is_true(done >= last and done <= of)
      last, calls, total = done, calls + 1, of
      d["at " .. calls] = done
    end }
    assert.is_true(report.ok)
    assert.is_true(calls >= 3)
    assert.are.equal(last, total)
    assert.are.equal(500 + calls, #d)
  end)

  it("passes on what progress raises, and lets nobody close the store",
     function ()
    local error_object = {}
    local ok, raised = pcall(store.check, store, { progress = function ()
      error(error_object)
    end })
    assert.is_false(ok)
    assert.are.equal(error_object, raised)
    fails("REENTRY", function ()
      store:check { progress = function () store:close() end }
    end)
    assert.is_true(store:check().ok)
  end)

  it("refuses options that it doesn't know", function ()
    for _, options in ipairs { { deep = true }, { progress = 1 },
                               { repair = 1 }, 5 } do
      fails("BAD_ARGUMENT", function ()
        store:check(options)
      end)
    end
    fails("BAD_ARGUMENT", function ()
      lode.check(path, { repair = true })
    end)
  end)

  it("names the collection and the key of what is damaged", function ()
    damage(77)
    local report = lode.check(path)
    assert.is_false(report.ok)
    assert.is_true(report.mendable)
    assert.are.equal(1, #report.problems)
    assert.matches('dict "users"', report.problems[1], 1, true)
    assert.matches('"name 77"', report.problems[1], 1, true)
    assert.are.equal(501, report.entries)
  end)

  it("with repair drops it, and says so", function ()
    damage(77)
    store = helper.open({}, path)
    d = store:dict "users"
    fails("CORRUPT", function () return d["name 77"] end)
    local report = store:check { repair = true }
    assert.is_true(report.ok)
    assert.are.same({}, report.problems)
    assert.are.equal(1, report.dropped)
    assert.matches('"name 77"', report.mended[1], 1, true)
    assert.is_nil(d["name 77"])
    assert.are.equal(499, #d)
    d["name 77"] = "anew"
    assert.is_true(store:check().ok)
    assert.are.same({}, store:check({ repair = true }).mended)
  end)

  it("is done by lode.open where it is asked to wait", function ()
    store:close()
    lode.open(path, { check = true }):close()
    damage(3)
    local e = fails("CORRUPT", lode.open, path, { check = true })
    helper.says(e, "lode.repair", '"name 3"')
    fails("BAD_ARGUMENT", function ()
      lode.open(path, { check = "now" })
    end)
  end)

  -- What is logged of a check in the background.
  local function background_news ()
    local heard = {}
    store = helper.open({
      check = "background", log_level = "info",
      log = function (level, message, fields)
        if fields.problems then
          heard[#heard + 1] = { level, message, fields.ok }
        end
      end
    }, path)
    d = store:dict "users"
    local until_then = os.time() + 20
    while #heard == 0 and os.time() < until_then do
      local _ = d.anything
    end
    for _ = 1, 10 do local _ = d.anything end
    return heard
  end

  it("tells the log when it was done in the background", function ()
    store:close()
    local heard = background_news()
    assert.are.same({ { "info", "checked: the store is sound", true } }, heard)
    damage(9)
    heard = background_news()
    assert.are.equal(1, #heard)
    assert.are.equal("error", heard[1][1])
    assert.matches('"name 9"', heard[1][2], 1, true)
    assert.is_false(heard[1][3])
  end)

  it("in the background ends when the store is closed", function ()
    for _ = 1, 20 do
      lode.open(path, { check = "background" }):close()
    end
  end)

  it("reads no pages that aren't there", function ()
    store:close()
    local file = path .. "/data.mdb"
    write_bytes(file, bytes_of(file):sub(1, -20000))
    fails("CORRUPT", function () lode.open(path) end)
    assert.is_false(lode.check(path).ok)
    fails("NOT_FOUND", function ()
      lode.check(path .. "/nowhere")
    end)
  end)
end)

describe("lode.repair", function ()
  helper.watch()

  local path, to

  before_each(function ()
    path, to = helper.path(), helper.path()
    local store = helper.open({}, path)
    local users = store:dict("users", { value = "string" })
    store:transaction(function ()
      for i = 1, 2000 do users[i] = "the value of " .. i end
      set.add(store:set "staff", "ada")
    end)
    store:close()
  end)

  it("writes a sound store anew", function ()
    local before = bytes_of(path .. "/data.mdb")
    local report = lode.repair(path, to)
    assert.is_true(report.ok)
    assert.is_false(report.older)
    assert.are.equal(2001, report.entries)
    assert.are.equal(0, report.lost)
    assert.are.same({}, report.problems)
    table.sort(report.collections, function (a, b) return a.name < b.name end)
    assert.are.same({ { name = "staff", kind = "set", kept = 1, lost = 0 },
                  { name = "users", kind = "dict", kept = 2000, lost = 0 } },
                report.collections)
    assert.are.equal(before, bytes_of(path .. "/data.mdb"))
    local store = helper.open({}, to)
    local users = store:dict "users"
    assert.are.equal("the value of 1999", users[1999])
    assert.are.equal(2000, #users)
    assert.is_true(store:set("staff").ada)
    fails("BAD_VALUE", function () users[1] = 1 end)
    assert.is_true(store:check().ok)
    store:close()
  end)

  it("keeps what is sound of a store that won't open", function ()
    local file = path .. "/data.mdb"
    local bytes = bytes_of(file)
    write_bytes(file, bytes:sub(1, #bytes - 5000))
    fails("CORRUPT", function () lode.open(path) end)
    local calls = 0
    local report = lode.repair(path, to, { progress = function (done, total)
      assert.is_true(done <= total)
      calls = calls + 1
    end })
    assert.is_false(report.ok)
    assert.is_true(#report.problems > 0)
    assert.is_true(calls > 0)
    local store = helper.open({}, to)
    for key, value in dict.pairs(store:dict "users") do
      assert.are.equal("the value of " .. key, value)
    end
    assert.is_true(store:check().ok)
    store:close()
  end)

  it("says what it can't do, and leaves nothing behind", function ()
    fails("NOT_FOUND", function ()
      lode.repair(path .. "x", to)
    end)
    fails("BAD_ARGUMENT", function ()
      lode.repair(path, path)
    end)
    write_bytes(path .. "/data.mdb", ("no store "):rep(2000))
    fails("NOT_A_STORE", function ()
      lode.repair(path, to)
    end)
    assert.is_nil(io.open(to))
    for _, call in ipairs {
      function () lode.repair(path) end,
      function () lode.repair(path, "") end,
      function () lode.repair(path, to, { repair = true }) end
    } do
      fails("BAD_ARGUMENT", call)
    end
  end)

  it("works for a single file", function ()
    local file = helper.path()
    local store = helper.open({ single_file = true }, file)
    store:dict("d").x = 1
    store:close()
    assert.is_true(lode.repair(file, to).ok)
    store = helper.open({ single_file = true }, to)
    assert.are.equal(1, store:dict("d").x)
    store:close()
    assert.is_true(lode.check(to).ok)
  end)
end)
