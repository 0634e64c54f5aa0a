-- Forks, as a Lua program makes them: by luaposix, or by LuaJIT's ffi. The
-- matrix of them all is in fault_fork.c.

local helper = require "support.helper"

-- Defines fork() -> pid, and wait(pid) -> whether it ended well; false where
-- neither is to be had.
local define = [[
  local has_posix, posix = pcall(require, "posix.unistd")
  local has_ffi, ffi = pcall(require, "ffi")
  local fork, wait
  if has_posix then
    local waiting = require "posix.sys.wait"
    fork = posix.fork
    function wait (pid)
      local _, how, status = waiting.wait(pid)
      return how == "exited" and status == 0
    end
  elseif has_ffi then
    ffi.cdef "int fork(void); int waitpid(int, int *, int);"
    fork = ffi.C.fork
    function wait (pid)
      local status = ffi.new "int[1]"
      return ffi.C.waitpid(pid, status, 0) == pid and status[0] == 0
    end
  end
]]

local can_fork = assert((loadstring or load)(define .. " return fork ~= nil"))()

-- Runs source in a process of its own that can fork: in_child(f) runs f in
-- a child, which ends with all its handles, and says whether f went well.
local function run (source, ...)
  return helper.run(define .. [[
    local lode = require "lode"
    local dict, set = lode.dict, lode.set
    local store = lode.open(..., { durability = "os", lock_timeout = 10 })
    local d = store:dict "d"
    for i = 1, 500 do d[i] = i end
    local function in_child (f)
      io.stdout:flush()
      local pid = fork()
      if pid ~= 0 then return assert(wait(pid), "the child failed") end
      local ok, e = pcall(f)
      if not ok then io.stderr:write(tostring(e), "\n") end
      os.exit(ok and 0 or 1, true)
    end
    local function refused (f, ...)
      local ok, e = pcall(f, ...)
      assert(not ok and e.code == "REENTRY", tostring(e))
      assert(tostring(e):find "forked", tostring(e))
    end
  ]] .. source, ...)
end

describe("a child made by fork", function ()
  helper.watch()

  if not can_fork then
    it("needs luaposix, or ffi", function ()
      pending "nothing here can fork"
    end)
    return
  end

  it("goes on with its parent's dicts, sets and walks", function ()
    run([[
      local s = store:set "s"
      s.x = true
      local cached = store:dict("c", { cache = 10 })
      cached.a = { 1 }
      assert(cached.a[1] == 1)
      local next_key = dict.keys(d)
      assert(next_key() == 1)
      in_child(function ()
        assert(d[7] == 7 and s.x and cached.a[1] == 1)
        d[7], cached.a = "child's", { 2 }
        assert(cached.a[1] == 2)
        for i = 2, 500 do assert(next_key() == i) end
        assert(next_key() == nil)
        assert(dict.incr(d, "n") == 1)
        assert(dict.update(d, "n", function (n) return n + 1 end) == 2)
        store:transaction(function () d.t = true end)
      end)
      assert(d[7] == "child's" and cached.a[1] == 2 and d.n == 2 and d.t)
      assert(next_key() == 2)
    ]], helper.path())
  end)

  it("does nothing to what its parent has open when it ends", function ()
    run([[
      store:snapshot(function ()
        local pinned = dict.pairs(d, { snapshot = true })
        assert(pinned() == 1)
        in_child(function () end)
        in_child(function ()
          refused(dict.get, d, 1)
          refused(dict.len, d)
        end)
        in_child(function () store:close() end)
        local other = lode.open(store:path(), { durability = "os" })
        for _ = 1, 30 do
          other:transaction(function ()
            local o = other:dict "d"
            for i = 1, 500 do o[i] = -i end
          end)
        end
        for i = 1, 500 do assert(d[i] == i) end
        for i = 2, 500 do
          local k, v = pinned()
          assert(k == i and v == i)
        end
      end)
      assert(d[500] == -500)
    ]], helper.path())
  end)

  it("is refused its parent's transaction, and not the next", function ()
    run([[
      local child_of = {}
      local ok, e = pcall(store.transaction, store, function ()
        d.mine = true
        local pid = fork()
        if pid == 0 then
          refused(dict.get, d, 1)
          refused(dict.set, d, 1, "never")
          refused(store.transaction, store, function () end)
          child_of.inside = true
          return
        end
        child_of.pid = pid
      end)
      if child_of.inside then
        assert(not ok and e.code == "REENTRY")
        d.child = true -- once the parent's has ended
        assert(d.mine == true and d[1] == 1)
        os.exit(0, true)
      end
      assert(ok, e)
      assert(wait(child_of.pid))
      assert(d.mine and d.child and d[1] == 1)
    ]], helper.path())
  end)

  it("leaves its parent's update to it", function ()
    run([[
      local child
      local ok, v = pcall(dict.update, d, 1, function (old)
        local pid = fork()
        child = pid
        if pid == 0 then refused(dict.get, d, 2) end
        return old + 100
      end)
      if child == 0 then
        assert(not ok and v.code == "REENTRY", tostring(v))
        assert(d[2] == 2)
        assert(dict.incr(d, "n") == 1)
        os.exit(0, true)
      end
      assert(ok and v == 101)
      assert(wait(child))
      assert(d[1] == 101 and d.n == 1)
    ]], helper.path())
  end)
end)
