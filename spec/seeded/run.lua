-- Whether the tests would notice: puts one deliberate bug after another into
-- a copy of lode, and sees that the test named for it fails.
--
--   make seeded                  all of them
--   lua spec/seeded/run.lua 3 7  the third and the seventh
--
-- First each named test must pass without any bug.

local bugs = dofile "spec/seeded/bugs.lua"

local LIMIT = 300 -- seconds for one test
local vm = os.getenv "LUA" or "lua5.4"

local function run (command, log)
  local ok, _, status = os.execute(("%s >%s 2>&1 </dev/null"):format(
    command, log or "/dev/null"))
  return ok == true or ok == 0, status
end

local function capture (command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return (text:gsub("%s+$", ""))
end

local function read (path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function write (path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

-- The text with the bug; an error when the code is no longer what it was
-- made for: exactly one place must have `from`.
local function seeded (bug, text)
  local first, last = text:find(bug.from, 1, true)
  if not first or text:find(bug.from, last + 1, true) then
    error(("%s: %q isn't in %s, or more than once: mend spec/seeded/bugs.lua")
      :format(bug.name, bug.from, bug.file))
  end
  return text:sub(1, first - 1) .. bug.to .. text:sub(last + 1)
end

-- A copy of what is tested, with a build directory of its own.
local copy = capture "mktemp -d"
run("chmod 755 " .. copy) -- specs read it as another user, too
local log = copy .. "/log"
local function in_copy (command, ...)
  return run(("cd %s && "):format(copy) .. command:format(...), log)
end

local function build ()
  return in_copy("make -s -j2 MODE=test LUA=%s c-tests build", vm)
end

-- Runs a test: a spec, or a C program; true when it passes.
local function passes (test)
  if test:find "%.lua$" then
    return in_copy("MAKE=make timeout %d .ci/test %s %s", LIMIT, vm, test)
  end
  return in_copy("timeout %d build/%s-test/%s", LIMIT, vm, test)
end

local function main ()
  local chosen = {}
  for _, n in ipairs(arg) do chosen[#chosen + 1] = assert(bugs[tonumber(n)]) end
  if #chosen == 0 then chosen = bugs end

  assert(run(("cp -r csrc lua spec Makefile .ci %s/"):format(copy)))
  local sound, broken, caught = {}, 0, 0
  if not build() then error("the copy doesn't build:\n" .. read(log)) end
  for _, bug in ipairs(chosen) do
    seeded(bug, read(bug.file)) -- an outdated bug fails at once
    if sound[bug.test] == nil then
      sound[bug.test] = passes(bug.test)
      if not sound[bug.test] then
        broken = broken + 1
        print("FAILED  " .. bug.test .. " fails without any bug")
      end
    end
  end
  for _, bug in ipairs(chosen) do
    local text = read(bug.file)
    write(copy .. "/" .. bug.file, seeded(bug, text))
    local built = build()
    local found = built and sound[bug.test] and not passes(bug.test)
    caught = caught + (found and 1 or 0)
    print(("%-7s %s: %s"):format(found and "ok" or "FAILED", bug.test,
      built and bug.name or bug.name .. " (it doesn't compile)"))
    write(copy .. "/" .. bug.file, text)
  end
  print(("%d of %d seeded bugs caught"):format(caught, #chosen))
  print(("%d passed, %d failed"):format(caught,
    #chosen - caught + broken))
  return caught == #chosen and broken == 0
end

io.stdout:setvbuf "line"
local ok, result = xpcall(main, debug.traceback)
run("rm -rf " .. copy)
if not ok then io.stderr:write(result, "\n") end
os.exit(ok and result)
