-- Every Lua sample of README.md runs, in order and in one directory, and
-- prints what the page says it prints (the text after `-->`).

local helper = require "support.helper"
local lode = require "lode"
local samples = require "support.samples"

describe("README.md", function ()
  helper.watch()

  it("has samples that run and print what it says", function ()
    local all, ran = samples.of_page "README.md", 0
    samples.inside(helper.path "readme", function ()
      local store = helper.owned(lode.open "samples")
      -- the lines that the page's samples take as given
      local given = { lode = lode, dict = lode.dict, set = lode.set,
        store = store }
      for _, sample in ipairs(all) do
        if samples.run("README.md", sample, given) then ran = ran + 1 end
      end
      store:close()
    end)
    assert.is_true(ran > 10)
  end)

  it("gives the two commands, each on a line of its own", function ()
    local text = assert(io.open "README.md"):read "*a"
    assert.is_truthy(text:find "\nmake try\n")
    assert.is_truthy(text:find "\nmake test\n")
  end)
end)
