-- lode check, repair, compact, backup and sweep.

local cli = require "support.cli"
local helper = require "support.helper"
local json = require "lode.cli.json"
local lode = require "lode"

local dict, policy = lode.dict, lode.policy
local run, output = cli.run, cli.output

local function filled (count, path)
  local store
  store, path = helper.open({}, path)
  local d = store:dict "d"
  store:transaction(function ()
    for i = 1, count or 200 do d[i] = ("x"):rep(100) end
  end)
  store:close()
  return path
end

-- Changes a byte of the entry whose value has this text.
local function damage (path, text)
  local name = path .. "/data.mdb"
  local bytes = cli.content(name)
  local at, changed = 1, 0
  while true do
    at = bytes:find(text, at, true)
    if not at then break end
    bytes = bytes:sub(1, at - 1) .. "#" .. bytes:sub(at + 1)
    changed = changed + 1
  end
  assert(changed > 0)
  local file = assert(io.open(name, "wb"))
  file:write(bytes)
  file:close()
end

describe("lode check", function ()
  helper.watch()

  it("says that a store is whole", function ()
    local path = filled()
    assert.is_truthy(output("check", path):find(
      "whole: 1 collection, 200 entries", 1, true))
    local report = json.decode(output("check", path, "--json"))
    assert.is_true(report.ok)
    assert.are.equal(200, report.entries)
    assert.is_truthy(output("check", path, "--json"):find('"problems":[]',
      1, true))
  end)

  it("ends with 3 where there is damage", function ()
    local path = filled()
    output("set", path, "d", "bad", '"the one that breaks"')
    damage(path, "the one that breaks")
    local r = run("check", path)
    assert.are.equal(3, r.status)
    assert.is_truthy(r.out:find("damaged", 1, true))
    assert.is_truthy(r.out:find("lode repair PATH", 1, true))
    r = run("check", path, "--json")
    assert.are.equal(3, r.status)
    assert.is_false(json.decode(r.out).ok)
    r = run("get", path, "d", "bad")
    assert.are.equal(3, r.status)
    assert.is_truthy(r.err:find("CORRUPT", 1, true))
  end)

  it("works while another process writes", function ()
    local store, path = helper.open()
    local d = store:dict "d"
    d.a = 1
    store:transaction(function ()
      d.b = 2
      local r = run("check", path)
      assert.are.equal(0, r.status, r.err)
      assert.is_truthy(r.out:find("1 entry", 1, true), r.out)
    end)
  end)
end)

describe("lode repair", function ()
  helper.watch()

  it("leaves a whole store as it is, with 0", function ()
    local path = filled()
    assert.is_truthy(output("repair", path):find("^whole"))
    assert.are.equal("200\n", output("stat", path, "d"):match "(%d+) +entries"
      .. "\n")
  end)

  it("removes what is damaged in place, with 3", function ()
    local path = filled()
    output("set", path, "d", "bad", '"the one that breaks"')
    damage(path, "the one that breaks")
    local r = run("repair", path)
    assert.are.equal(3, r.status, r.err)
    assert.is_truthy(r.out:find("1 damaged entry removed", 1, true), r.out)
    assert.are.equal(0, run("check", path).status)
    assert.are.equal(1, run("get", path, "d", "bad").status)
  end)

  it("saves what is sound into a new store", function ()
    local path, to = filled(), helper.path "to"
    local text = output("repair", path, to)
    assert.is_truthy(text:find("200 entries saved", 1, true), text)
    output("set", path, "d", "bad", '"the one that breaks"')
    damage(path, "the one that breaks")
    to = helper.path "to"
    local r = run("repair", path, to, "--json")
    assert.are.equal(3, r.status)
    local report = json.decode(r.out)
    assert.are.equal(200, report.entries)
    assert.are.equal("d", report.collections[1].name)
    assert.are.equal(0, run("check", to).status)
    assert.are.equal(3, run("check", path).status)
    assert.are.equal(1, run("repair", path, to).status) -- it is there
  end)
end)

describe("lode backup", function ()
  helper.watch()

  it("copies, also compacted, to a new place only", function ()
    local path, to = filled(2000), helper.path "to"
    output("del", path, "d", "1", "--json-key")
    output("backup", path, to)
    assert.are.equal(output("dump", path), output("dump", to))
    local compact = helper.path "to"
    output("backup", path, compact, "--compact")
    assert.are.equal(output("dump", path), output("dump", compact))
    assert.are.equal(1, run("backup", path, to).status)
  end)
end)

describe("lode compact", function ()
  helper.watch()

  local function sized (path)
    return json.decode(output("stat", path, "--json"))
  end

  -- A store of which most is free.
  local function loose ()
    local path = filled(3000)
    local store = helper.open({}, path)
    dict.delete_range(store:dict "d", { from = 10 })
    store:dict("d").last = 1
    store:close()
    return path
  end

  it("gives free space back, and keeps all else", function ()
    local path = loose()
    local before, text = sized(path), output("dump", path)
    helper.shell("chmod 750 " .. path .. "; chmod 640 " .. path
      .. "/data.mdb")
    output("compact", path)
    local after = sized(path)
    assert.is_true(after.file_size < before.file_size / 2)
    assert.are.equal(text, output("dump", path))
    assert.are.equal(0, run("check", path).status)
    local modes = helper.shell(("ls -ld %s %s/data.mdb"):format(path, path))
    assert.is_truthy(modes:find "^drwxr%-x%-%-%-")
    assert.is_truthy(modes:find "\n%-rw%-r%-%-%-%-%-")
    local left = helper.shell(("ls -d %s.* 2>/dev/null"):format(path))
    assert.are.equal("", left)
    output("set", path, "d", "more", "1")
  end)

  it("writes to a new place, also of a store that is open", function ()
    local path, to = loose(), helper.path "to"
    local store = helper.open({}, path)
    output("compact", path, to)
    assert.are.equal(10, store:stats().entries)
    store:close()
    assert.are.equal(output("dump", path), output("dump", to))
  end)

  it("leaves a store alone that is open elsewhere", function ()
    local path = loose()
    local store = helper.open({}, path)
    local d = store:dict "d"
    assert.are.equal(10, #d)
    local r = run("compact", path)
    assert.are.equal(1, r.status)
    assert.is_truthy(r.err:find "open elsewhere", r.err)
    d.after = 1
    store:close()
    assert.are.equal("1\n", output("get", path, "d", "after"))
    local left = helper.shell(("ls -d %s.* 2>/dev/null"):format(path))
    assert.are.equal("", left)
  end)

  it("that Ctrl-C ends leaves the store, and nothing beside it",
    function ()
      local path = loose()
      local text = output("dump", path)
      local interrupted = 0
      for i = 1, 15 do
        local said = helper.shell(("( %s ) >/dev/null & sleep %.3f; "
          .. "kill -INT $! 2>/dev/null; wait $!; echo ended $?"):format(
          cli.command("compact", path), 0.004 + 0.002 * i))
        if said:find "ended 130" then interrupted = interrupted + 1 end
        assert.are.equal(text, output("dump", path))
        assert.are.equal("", (helper.shell(("ls -d %s.* 2>/dev/null")
          :format(path))))
      end
      print(("\n%d of 15 compactions interrupted"):format(interrupted))
    end)

  it("leaves a directory alone that holds more", function ()
    local path = loose()
    helper.shell("touch " .. path .. "/mine")
    local r = run("compact", path)
    assert.are.equal(1, r.status)
    assert.is_truthy(r.err:find("mine", 1, true), r.err)
    assert.are.equal(0, run("check", path).status)
  end)
end)

describe("lode sweep", function ()
  helper.watch()

  local function due (count)
    local store, path = helper.open { maintenance = "off",
      clock = function () return os.time() - 1000 end }
    local d = store:dict "d"
    for i = 1, count do dict.set(d, i, i, 10) end
    dict.set(d, "stays", 1, 5000)
    store:dict("age", { expire = policy.age(10) }).x = 1
    store:dict("secret", { expire = policy.at(function (e)
      return e.mtime + 10
    end, "secret") }).x = 1
    store:close()
    return path
  end

  it("removes what is due, by policies that it knows", function ()
    local path = due(30)
    assert.are.equal('{"expired":1,"removed":31,"waiting":1}\n',
      output("sweep", path, "--json"))
    assert.are.equal("stays\n", output("ls", path, "d"))
    assert.is_truthy(output("sweep", path):find
      "^0 removed, 1 wait .*%(secret%)")
  end)

  it("removes so many at most", function ()
    local path = due(30)
    assert.are.equal("20 removed", output("sweep", path, "--entries",
      "20"):match "^%d+ removed")
    assert.are.equal("11 removed", output("sweep", path):match
      "^%d+ removed")
  end)
end)
