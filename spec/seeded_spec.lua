-- The deliberate bugs of spec/seeded, which run for many minutes, are still
-- such that they can be put in.

local bugs = dofile "spec/seeded/bugs.lua"

local function content (path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

local function is_test (name)
  return content(name) or content("spec/c/" .. name .. ".c")
    or content("spec/fault/" .. name .. ".c")
    or content("spec/crash/" .. name .. ".c")
end

describe("a seeded bug", function ()
  for _, bug in ipairs(bugs) do
    it("has its place and its test: " .. bug.name, function ()
      local text = content(bug.file)
      local first, last = text:find(bug.from, 1, true)
      assert.is_truthy(first, bug.file .. " is no longer what it was made for")
      assert.is_nil(text:find(bug.from, last + 1, true))
      assert.are_not.equal(bug.from, bug.to)
      assert.is_truthy(is_test(bug.test), bug.test)
    end)
  end

  it("is one of fifteen or more", function ()
    assert.is_true(#bugs >= 15)
  end)
end)
