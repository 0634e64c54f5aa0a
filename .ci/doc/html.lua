-- What the reference is written with: text as HTML, code in colours, pages.

local html = {}

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
  ['"'] = "&quot;" }

function html.escape (text)
  return (text:gsub('[&<>"]', entities))
end

local escape = html.escape

-- {==================================================================
-- Code in colours
-- ====================================================================

local function set_of (words)
  local set = {}
  for word in words:gmatch "%S+" do set[word] = true end
  return set
end

local languages = {
  lua = {
    keywords = set_of [[and break do else elseif end false for function goto
      if in local nil not or repeat return then true until while]],
    rules = { -- the class of a span, and what is one
      { "out", "^%-%->[^\n]*" },
      { "com", "^%-%-[^\n]*" },
      { "str", '^"[^"\n]*"' },
      { "num", "^%d[%w.]*" },
    },
  },
  c = {
    keywords = set_of [[bool char const double enum extern float if inline int
      long return short signed sizeof static struct typedef union unsigned
      void while int64_t uint64_t size_t #define]],
    rules = {
      { "com", "^/%*.-%*/" },
      { "str", '^"[^"\n]*"' },
      { "num", "^%d[%w.]*" },
    },
  },
}

local function span (class, text)
  return ('<span class="%s">%s</span>'):format(class, escape(text))
end

-- The first rule that matches at `at`.
local function rule_at (rules, text, at)
  for _, rule in ipairs(rules) do
    local stop = select(2, text:find(rule[2], at))
    if stop then return rule[1], stop end
  end
end

-- Code as HTML. `link` gives what a name leads to, or nil.
function html.code (text, language, link)
  local how, out, at = languages[language], {}, 1
  while at <= #text do
    local class, stop = rule_at(how.rules, text, at)
    if class then
      out[#out + 1] = span(class, text:sub(at, stop))
    else
      stop = select(2, text:find("^#?[%a_][%w_]*", at)) or at
      local word = text:sub(at, stop)
      local address = link and link(word)
      if how.keywords[word] then
        out[#out + 1] = span("key", word)
      elseif address then
        out[#out + 1] = ('<a href="%s">%s</a>'):format(address, word)
      else
        out[#out + 1] = escape(word)
      end
    end
    at = stop + 1
  end
  return table.concat(out)
end

-- The comments behind code as near to it as they fit below each other:
-- screens are narrower than files.
local function close_up (text)
  local column = 0
  for code in (text .. "\n"):gmatch "([^\n]-)%s+%-%-[^\n]*\n" do
    column = math.max(column, #code)
  end
  return ((text .. "\n"):gsub("([^\n]-)%s%s+(%-%-[^\n]*\n)",
    function (code, comment)
      if not code:find "%S" then return nil end
      return code .. (" "):rep(column - #code + 2) .. comment
    end):sub(1, -2))
end

function html.sample (text, language, link)
  if language == "lua" then text = close_up(text) end
  return ('<pre><code>%s</code></pre>\n')
    :format(html.code(text, language, link))
end

-- }==================================================================

-- {==================================================================
-- Text, with a little Markdown
-- ====================================================================

-- A line of text: `code`, **strong**, [text](address). `link` as above, for
-- what is code and for words in capitals.
function html.inline (text, link)
  local codes = {}
  text = text:gsub("`([^`]+)`", function (code)
    local address = link(code:match "^[%w_.:]+" or code)
    local shown = "<code>" .. escape(code) .. "</code>"
    codes[#codes + 1] = address
      and ('<a href="%s">%s</a>'):format(address, shown) or shown
    return "\1" .. #codes .. "\2"
  end)
  text = escape(text)
  text = text:gsub("%f[%w_](%u[%u_]+)%f[^%w_]", function (word)
    local address = link(word)
    return address and ('<a class="code" href="%s">%s</a>')
      :format(address, word)
  end)
  text = text:gsub("%[([^%]]+)%]%((https?://[^)]+)%)", '<a href="%2">%1</a>')
  text = text:gsub("%*%*(.-)%*%*", "<strong>%1</strong>")
  return (text:gsub("\1(%d+)\2", function (i) return codes[tonumber(i)] end))
end

-- Paragraphs, lists and indented code.
function html.text (text, language, link)
  local out = {}
  for block in (text .. "\n\n"):gmatch "(.-)\n\n+" do
    if block:find "^%s%s" then
      local indent = "\n" .. block:match "^%s+"
      local code = ("\n" .. block):gsub(indent, "\n"):sub(2)
      out[#out + 1] = html.sample(code, language, nil)
    elseif block:find "^%- " then
      out[#out + 1] = "<ul>"
      for item in ("\n" .. block .. "\n- "):gmatch "%- (.-)\n%f[%-]" do
        out[#out + 1] = "<li>" .. html.inline(item, link) .. "</li>"
      end
      out[#out + 1] = "</ul>\n"
    elseif block ~= "" then
      out[#out + 1] = "<p>" .. html.inline(block, link) .. "</p>\n"
    end
  end
  return table.concat(out)
end

-- }==================================================================

-- {==================================================================
-- Pages
-- ====================================================================

-- Fills `<%name>` in a template.
function html.fill (template, values)
  return (template:gsub("<%%(%l+)>", function (name)
    return assert(values[name], name)
  end))
end

-- }==================================================================

return html
