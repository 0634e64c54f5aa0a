-- Every sample of the annotations, which are those of the reference, runs in
-- a directory of its own and prints what it says (the text after `-->`).

local helper = require "support.helper"
local reference = require "support.reference"
local samples = require "support.samples"

-- With what its chapter takes as given, on one line, and closed at the end.
local function run (item, sample)
  local chapter = item.chapter
  samples.inside(helper.path "sample", function ()
    samples.run(item.path, {
      line = sample.line,
      source = sample.source .. "\n" .. chapter.closes,
    }, {}, (chapter.given:gsub("\n", " ")))
  end)
end

describe("the samples of the annotations", function ()
  helper.watch()

  for _, chapter in ipairs(reference.chapters) do
    it("run and print what they say: " .. chapter.title, function ()
      local ran = 0
      for _, item in ipairs(reference.items) do
        if item.chapter == chapter then
          for _, sample in ipairs(item.samples or {}) do
            run(item, sample)
            ran = ran + 1
          end
        end
      end
      assert.is_true(ran > 0)
      print(ran .. " samples of " .. chapter.title)
    end)
  end
end)
