-- Writes the reference (`make doc`): from the annotations of the Lua files
-- and the contracts in the C headers, one page for each chapter, which needs
-- nothing but itself.
--
--   lua .ci/doc/main.lua build/doc

local here = arg[0]:match "^.*/"
local chapters = dofile(here .. "chapters.lua")
local cheader = dofile(here .. "cheader.lua")
local html = dofile(here .. "html.lua")
local luacats = dofile(here .. "luacats.lua")
local to = assert(arg[1], "usage: main.lua DIRECTORY")
local escape = html.escape

-- {==================================================================
-- What there is, and where it is going to stand
-- ====================================================================

local pages = {} -- chapters with head, items and options, in order
local places = {} -- by name: "dict.html#dict.get"
local types = {} -- by name: whether it has a place
local current -- the page that is written

local function register (page, name)
  places[name] = places[name] or ("%s.html#%s"):format(page.page, name)
end

-- What a function or value is called.
local function name_of (item)
  return (chapters.names[item.class] or item.class .. ".") .. item.name
end

local function register_item (page, item)
  if item.kind == "function" or item.kind == "value" then
    register(page, name_of(item))
  elseif item.kind == "class" or item.kind == "alias" then
    if item.name:find "_functions$" then -- what all of a page is about
      places[item.name] = places[item.name] or page.page .. ".html"
    end
    register(page, item.name)
    types[item.name] = true
    for _, field in ipairs(item.fields or {}) do
      local id = item.name .. "." .. field.name
      register(page, id)
      -- by its name alone, where that can't be taken for another word
      if item.name:find "options$" and item.name ~= "lode.kept_options"
          and field.name:find "_" then
        places[field.name] = places[field.name] or places[id]
        page.options[field.name] = page.options[field.name] or places[id]
      end
    end
    for _, value in ipairs(item.values or {}) do
      local code = value.value:match '^"(%u[%u_]+)"$'
      if code then register(page, code) end
    end
  else
    for _, name in ipairs(item.names or {}) do register(page, name) end
  end
end

local function add_page (page, read)
  page.items, page.options = {}, {}
  for i, path in ipairs(page.files) do
    local file = read(path)
    if i == 1 then page.head = file.head end
    for _, item in ipairs(file.items) do
      if not item.hidden then
        page.items[#page.items + 1] = item
        register_item(page, item)
      end
    end
  end
  pages[#pages + 1] = page
end

for _, chapter in ipairs(chapters.chapters) do
  add_page(chapter, luacats.read)
end
add_page({ page = "c", title = "From C", says = "The engine without any Lua",
  language = "c", files = { "csrc/lode.h", "csrc/lode_time.h",
    "csrc/lode_check.h", "csrc/lode_lua.h" } }, cheader.read)

-- What a name leads to; that of an option, to one of the same page first.
local function link (name)
  local place = current and current.options[name] or places[name]
    or places[name:gsub("[.:]+$", "")]
  return place and escape(place)
end

-- }==================================================================

-- {==================================================================
-- Types and signatures
-- ====================================================================

-- A type, with links to what it speaks of.
local function type_html (type_text)
  return (escape(type_text):gsub("[%a_][%w_.]*", function (name)
    local place = types[name] and places[name]
    return place and ('<a href="%s">%s</a>'):format(place, name)
  end):gsub("|", "|<wbr>"))
end

-- Whether a caller may leave a parameter out: not just give nil for it.
local function may_miss (item, param)
  if param.name == "..." then return false end
  if param.type == "any" or param.type == "lode.key?" then
    return param.text:find "default" or param.text:find "^nil:"
  end
  return luacats.is_optional(param.type)
    and not (item.name == "expire" and param.name == "ttl")
end

-- "(d, key [, default])"
local function signature (item)
  local params, required = item.documented, #item.documented
  while required > 0 and may_miss(item, params[required]) do
    required = required - 1
  end
  local text, open = {}, 0
  for i, param in ipairs(params) do
    local comma = i > 1 and ", " or ""
    if i > required then
      comma, open = (i > 1 and " [, " or "["), open + 1
    end
    text[i] = comma .. param.name
  end
  local fixed = table.concat(text, "", 1, required)
  local rest = table.concat(text, "", required + 1) .. ("]"):rep(open)
  if rest ~= "" then rest = '<span class="opt">' .. rest .. "</span>" end
  return "(" .. fixed .. rest .. ")"
end

-- What a function gives, in a word each.
local function gives (item)
  local words = {}
  for i, result in ipairs(item.returns) do
    words[i] = result.name or result.type:find "^fun" and "iterator"
      or type_html(result.type)
  end
  if #words == 0 then return "" end
  return ' <span class="gives">→ ' .. table.concat(words, ", ") .. "</span>"
end

-- }==================================================================

-- {==================================================================
-- Items
-- ====================================================================

local function row (id, ...)
  local cells = {}
  for i = 1, select("#", ...) do
    cells[i] = "<td>" .. (select(i, ...)) .. "</td>"
  end
  return ("<tr%s>%s</tr>\n"):format(id and ' id="' .. id .. '"' or "",
    table.concat(cells))
end

local function typed (type_text)
  return '<code class="type">' .. type_html(type_text) .. "</code>"
end

local function samples_of (item)
  local out = {}
  for i, sample in ipairs(item.samples or {}) do
    out[i] = html.sample(sample.source, "lua")
  end
  return table.concat(out)
end

local function text_of (text)
  return html.text(text, "lua", link)
end

-- The dict or set that a function is of needs no row.
local function is_plain (param)
  return param.text == ""
    and (param.type == "lode.dict" or param.type == "lode.set")
end

local function table_of (rows)
  if #rows == 0 then return "" end
  return "<table><tbody>\n" .. table.concat(rows) .. "</tbody></table>\n"
end

local show = {}

show["function"] = function (item)
  local name, rows = name_of(item), {}
  for _, param in ipairs(item.documented) do
    if not is_plain(param) then
      rows[#rows + 1] = row(nil, "<code>" .. escape(param.name) .. "</code>",
        typed(param.type), html.inline(param.text, link))
    end
  end
  for _, result in ipairs(item.returns) do
    if result.name or result.text ~= "" or result.type:find "^fun" then
      rows[#rows + 1] = row(nil, "→ <code>" .. (result.name or "")
        .. "</code>", typed(result.type), html.inline(result.text, link))
    end
  end
  return ('<section id="%s"><h3><a class="self" href="#%s"><code>%s%s</code>'
    .. "</a>%s</h3>\n%s%s%s</section>\n"):format(name, name, name,
    signature(item), gives(item), text_of(item.text), table_of(rows),
    samples_of(item))
end

function show.value (item)
  local name = name_of(item)
  return ('<section id="%s"><h3><a class="self" href="#%s"><code>%s</code>'
    .. "</a>%s</h3>\n%s%s</section>\n"):format(name, name, name,
    item.type and ' <span class="gives">' .. type_html(item.type) .. "</span>"
    or "", text_of(item.text), samples_of(item))
end

-- The head of a class or alias, with what kind of thing it is.
local function head_of (item, kind)
  return ('<section id="%s"><h3><a class="self" href="#%s"><code>%s</code>'
    .. '</a> <span class="kind">%s</span></h3>\n%s'):format(item.name,
    item.name, item.name, kind, text_of(item.text))
end

function show.class (item)
  if item.text == "" or item.name:find "_functions$" then return "" end
  local rows = {}
  for _, field in ipairs(item.fields) do
    if not field.hidden then
      rows[#rows + 1] = row(item.name .. "." .. field.name,
        "<code>" .. escape(field.name) .. "</code>", typed(field.type),
        html.inline(field.text:gsub("\n", " "), link))
    end
  end
  local more = ""
  if #item.parents > 0 then
    local parents = {}
    for i, name in ipairs(item.parents) do parents[i] = type_html(name) end
    more = (#rows > 0 and "<p>And all of <code>%s</code>.</p>\n"
      or "<p>It is a <code>%s</code>.</p>\n")
      :format(table.concat(parents, ", "))
  end
  local kind = item.name:find "options$" and "options"
    or #rows > 0 and "fields" or "type"
  return head_of(item, kind) .. table_of(rows) .. more .. samples_of(item)
    .. "</section>\n"
end

function show.alias (item)
  local rows = {}
  for _, value in ipairs(item.values) do
    local code = value.value:match '^"(%u[%u_]+)"$'
    rows[#rows + 1] = row(code, "<code>"
      .. (code or type_html(value.value)) .. "</code>",
      html.inline(value.text, function (name)
        return name ~= code and link(name) or nil
      end))
  end
  local own = item.type
    and "<p><code>" .. type_html(item.type) .. "</code></p>\n" or ""
  return head_of(item, "type") .. own .. table_of(rows) .. samples_of(item)
    .. "</section>\n"
end

function show.c (item)
  local anchors = {}
  for i, name in ipairs(item.names) do
    anchors[i] = ('<a id="%s"></a>'):format(name)
  end
  return "<section>" .. table.concat(anchors) .. "\n"
    .. html.sample(item.code, "c", function (name)
      return name:find "^lode_" and link(name)
        or name:find "^LODE_" and link(name)
    end)
    .. html.text(item.text, "c", link) .. "</section>\n"
end

-- }==================================================================

-- {==================================================================
-- Pages
-- ====================================================================

-- What an item is called in the contents; nil: nothing.
local function contents_of (item)
  if item.kind == "function" or item.kind == "value" then
    return { name_of(item) }
  elseif item.kind == "class" or item.kind == "alias" then
    local shown = item.text ~= "" and not item.name:find "_functions$"
    return shown and { item.name } or {}
  end
  local found = {}
  for _, name in ipairs(item.names) do
    if not name:find "^%u" then found[#found + 1] = name end
  end
  return found
end

-- Sections and items as HTML, and as what the contents have of them; a
-- section with nothing in it is left out.
local function render (page)
  local body, contents, title = {}, {}, nil
  for _, item in ipairs(page.items) do
    if item.kind == "section" then
      title = item.title
    else
      local shown = show[item.kind](item)
      if shown ~= "" then
        if title then
          body[#body + 1] = "<h2>" .. escape(title) .. "</h2>\n"
          contents[#contents + 1] = "<b>" .. escape(title) .. "</b>\n"
          title = nil
        end
        body[#body + 1] = shown
        for _, name in ipairs(contents_of(item)) do
          contents[#contents + 1] = ('<a class="name" href="#%s">%s</a>\n')
            :format(name, name)
        end
      end
    end
  end
  return table.concat(body), table.concat(contents)
end

local function navigation (of, contents)
  local out = { '<a class="home" href="index.html">lode</a>\n' }
  for _, page in ipairs(pages) do
    out[#out + 1] = ('<a%s href="%s.html">%s</a>\n'):format(
      page == of and ' class="here"' or "", page.page,
      escape(page.title))
    if page == of then out[#out + 1] = contents end
  end
  return table.concat(out)
end

local function read (path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local template, style = read(here .. "page.html"), read(here .. "style.css")

local function write (name, title, nav, body)
  local file = assert(io.open(to .. "/" .. name .. ".html", "w"))
  file:write((html.fill(template, { title = title, style = style, nav = nav,
    body = body })))
  file:close()
end

for _, page in ipairs(pages) do
  current = page
  local body, contents = render(page)
  local given = page.given and html.text("The samples take these lines as "
    .. "given; what follows `-->` is what they print.", nil, link)
    .. html.sample(page.given, "lua") or ""
  write(page.page, page.title, navigation(page, contents),
    ('<h1>%s</h1>\n<p class="lead">%s.</p>\n%s%s%s'):format(
    escape(page.title), escape(page.says),
    html.text(page.head, page.language or "lua", link), given, body))
end

-- }==================================================================

-- {==================================================================
-- The first page
-- ====================================================================

-- The index has the first sentence of each text, without a C mark.
local function first_sentence (text)
  text = text:gsub("^%b[] ", "")
  text = (text .. "\n\n"):match "^(.-)\n\n":gsub("\n", " ") .. " "
  return text:match "^(.-%.) " or text
end

local function cards ()
  local out = {}
  for i, page in ipairs(pages) do
    out[i] = ('<a href="%s.html"><b>%s</b><span>%s</span></a>\n'):format(
      page.page, escape(page.title), escape(page.says))
  end
  return '<div class="cards">\n' .. table.concat(out) .. "</div>\n"
end

-- All that can be called, by name: from Lua, and from C.
local function all_names ()
  local from_lua, from_c = {}, {}
  for _, page in ipairs(pages) do
    for _, item in ipairs(page.items) do
      local text = item.text and first_sentence(item.text) or ""
      for _, name in ipairs(item.functions or {}) do
        from_c[#from_c + 1] = { name = name, text = text }
      end
      if item.kind == "function" or item.kind == "value" then
        from_lua[#from_lua + 1] = { name = name_of(item), text = text }
      end
    end
  end
  local function by_name (a, b) return a.name < b.name end
  table.sort(from_lua, by_name)
  table.sort(from_c, by_name)
  return from_lua, from_c
end

local function list_of (names)
  local out = {}
  for i, entry in ipairs(names) do
    out[i] = ('<li><a href="%s"><code>%s</code></a><span>%s</span></li>\n')
      :format(link(entry.name), escape(entry.name),
        html.inline(entry.text, link))
  end
  return '<ul class="names">\n' .. table.concat(out) .. "</ul>\n"
end

local script = [[
<script>
var field = document.getElementById("find")
field.hidden = false
field.oninput = function () {
  var wanted = field.value.toLowerCase()
  document.querySelectorAll(".names li").forEach(function (item) {
    item.hidden = item.textContent.toLowerCase().indexOf(wanted) < 0
  })
}
</script>
]]

local function index ()
  local from_lua, from_c = all_names()
  local version = read "csrc/lode.h":match 'LODE_VERSION "(.-)"'
  return "<h1>lode</h1>\n"
    .. '<p class="lead">Lua tables that live on disk. The reference of '
    .. "version " .. version .. ".</p>\n" .. cards()
    .. '<p><input id="find" type="search" hidden placeholder="find"'
    .. ' aria-label="find a name"></p>\n'
    .. "<h2>From Lua</h2>\n" .. list_of(from_lua)
    .. "<h2>From C</h2>\n" .. list_of(from_c) .. script
end

current = nil
write("index", "Reference", navigation(nil, ""), index())
print(("%d pages in %s"):format(#pages + 1, to))

-- }==================================================================
