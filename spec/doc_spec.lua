-- The reference that `make doc` writes: every name has its place, every link
-- leads to one, and nothing is fetched from anywhere.

local cheader = dofile ".ci/doc/cheader.lua"
local helper = require "support.helper"
local lfs = require "lfs"
local reference = require "support.reference"

local headers = { "csrc/lode.h", "csrc/lode_time.h", "csrc/lode_check.h",
  "csrc/lode_lua.h" }

local made -- what `make` has given

-- Writes it, once; its pages by name, each { text, ids }.
local function make ()
  if made then return made end
  local directory, pages = helper.path "doc", {}
  assert(lfs.mkdir(directory))
  local said, well = helper.shell(("%s .ci/doc/main.lua %s")
    :format(helper.interpreter, directory))
  assert.is_true(well, said)
  for name in lfs.dir(directory) do
    if name:find "%.html$" then
      local text = assert(io.open(directory .. "/" .. name)):read "*a"
      local ids, twice = {}, {}
      for id in text:gmatch ' id="([^"]+)"' do
        if ids[id] then twice[#twice + 1] = id end
        ids[id] = true
      end
      assert.are.same({}, twice, "twice in " .. name)
      pages[name] = { text = text, ids = ids }
    end
  end
  made = pages
  return pages
end

local function has_place (pages, id)
  for _, page in pairs(pages) do
    if page.ids[id] then return true end
  end
  return false
end

describe("the reference", function ()
  helper.watch()

  it("has a page for each chapter, one for C, and a first one", function ()
    local pages = make()
    assert.is_truthy(pages["index.html"])
    assert.is_truthy(pages["c.html"])
    for _, chapter in ipairs(reference.chapters) do
      assert.is_truthy(pages[chapter.page .. ".html"], chapter.page)
    end
  end)

  it("has links that lead to what there is", function ()
    local pages, dead, count = make(), {}, 0
    for name, page in pairs(pages) do
      for address in page.text:gmatch 'href="([^"]*)"' do
        local file, id = address:match "^([^#]*)#?(.*)$"
        local target = file == "" and page or pages[file]
        count = count + 1
        if not target or id ~= "" and not target.ids[id] then
          dead[#dead + 1] = name .. " -> " .. address
        end
      end
    end
    assert.are.same({}, dead)
    assert.is_true(count > 500, count .. " links")
  end)

  it("has a place for everything that anybody may use", function ()
    local pages, missing = make(), {}
    for _, item in ipairs(reference.items) do
      if not item.hidden and (item.kind == "function"
          or item.kind == "value") then
        local name = reference.called(item)
        if not has_place(pages, name) then missing[#missing + 1] = name end
      elseif item.kind == "alias" and not has_place(pages, item.name) then
        missing[#missing + 1] = item.name
      end
    end
    assert.are.same({}, missing)
  end)

  it("leads from every type that is named to its text", function ()
    local linked, missing = {}, {}
    for _, page in pairs(make()) do
      for id in page.text:gmatch 'href="%l+%.html#([^"]+)"' do
        linked[id] = true
      end
    end
    for _, item in ipairs(reference.items) do
      for _, list in ipairs { item.documented or {}, item.returns or {},
                              item.fields or {} } do
        for _, part in ipairs(item.hidden and {} or list) do
          for _, name in ipairs(reference.names_in(part.type)) do
            local known = reference.classes[name] or reference.aliases[name]
            if known and not known.hidden and not part.hidden
                and not linked[name] and not name:find "_functions$" then
              missing[#missing + 1] = name
            end
          end
        end
      end
    end
    assert.are.same({}, missing)
  end)

  it("shows every sample", function ()
    local missing, count, texts = {}, 0, {}
    for name, page in pairs(make()) do
      local text = page.text:gsub("<[^>]*>", ""):gsub("&lt;", "<")
        :gsub("&gt;", ">"):gsub("&quot;", '"'):gsub("&amp;", "&")
      texts[name] = text:gsub("%s+", " ")
    end
    for _, item in ipairs(reference.items) do
      for _, sample in ipairs(item.hidden and {} or item.samples or {}) do
        local source = sample.source:gsub("%s+", " ")
        count = count + 1
        if not texts[item.chapter.page .. ".html"]:find(source, 1, true) then
          missing[#missing + 1] = reference.place(item)
        end
      end
    end
    assert.are.same({}, missing)
    assert.is_true(count > 100, count .. " samples")
  end)

  it("fetches nothing", function ()
    for name, page in pairs(make()) do
      for _, word in ipairs { "src=", "url%(", "@import", "<link", "XMLHttp",
                              'href="http' } do
        assert.is_nil(page.text:find(word), name .. " has " .. word)
      end
    end
  end)
end)

describe("the C headers", function ()
  helper.watch()

  it("say of each function what it does, and have a place", function ()
    local pages, wrong, count = make(), {}, 0
    for _, path in ipairs(headers) do
      local text = assert(io.open(path)):read "*a"
      local said = {}
      for _, item in ipairs(cheader.read(path).items) do
        for _, name in ipairs(item.functions or {}) do
          said[name] = item.text ~= ""
        end
      end
      -- each name that stands where one is declared, however it was read
      for name in text:gsub("#ifdef LODE_TEST.-#endif", "")
          :gsub("/%*.-%*/", ""):gmatch "%f[%w_](l%l+_[%w_]+) %([^*]" do
        count = count + 1
        if not said[name] then wrong[#wrong + 1] = name .. " has no text" end
        if not has_place(pages, name) then
          wrong[#wrong + 1] = name .. " has no place"
        end
      end
    end
    assert.are.same({}, wrong)
    assert.is_true(count > 80, count .. " functions")
  end)
end)
