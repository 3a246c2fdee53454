-- Decides who sends a request: the holder of a key, or of a token that jwt_authn before this filter has verified.
-- The clients are metadata of the virtual host, the model is metadata of the route (routing/envoy/access.py).
-- Each of Envoy's threads runs it for itself.
local band, bxor, bnot, rshift, ror, tobit, tohex =
  bit.band, bit.bxor, bit.bnot, bit.rshift, bit.ror, bit.tobit, bit.tohex

local K = {}
do -- the first 32 bits of the fractional parts of the cube roots of the first 64 primes
  local n, candidate = 0, 2
  while n < 64 do
    local prime = true
    for d = 2, math.floor(math.sqrt(candidate)) do
      if candidate % d == 0 then prime = false break end
    end
    if prime then
      n = n + 1
      local root = candidate ^ (1 / 3)
      K[n] = tobit(math.floor((root - math.floor(root)) * 2 ^ 32))
    end
    candidate = candidate + 1
  end
end

local function sha256(text)
  local length = #text
  local padded = text .. "\128" .. string.rep("\0", (55 - length) % 64) .. string.rep("\0", 4)
    .. string.char(band(rshift(length * 8, 24), 255), band(rshift(length * 8, 16), 255),
      band(rshift(length * 8, 8), 255), band(length * 8, 255))
  local h1, h2, h3, h4 = 0x6a09e667, tobit(0xbb67ae85), 0x3c6ef372, tobit(0xa54ff53a)
  local h5, h6, h7, h8 = 0x510e527f, tobit(0x9b05688c), 0x1f83d9ab, 0x5be0cd19
  local w = {}
  for at = 1, #padded, 64 do
    for i = 1, 16 do
      local a, b, c, d = padded:byte(at + i * 4 - 4, at + i * 4 - 1)
      w[i] = tobit(a * 0x1000000 + b * 0x10000 + c * 0x100 + d)
    end
    for i = 17, 64 do
      local x, y = w[i - 15], w[i - 2]
      local s0 = bxor(ror(x, 7), ror(x, 18), rshift(x, 3))
      local s1 = bxor(ror(y, 17), ror(y, 19), rshift(y, 10))
      w[i] = tobit(w[i - 16] + s0 + w[i - 7] + s1)
    end
    local a, b, c, d, e, f, g, h = h1, h2, h3, h4, h5, h6, h7, h8
    for i = 1, 64 do
      local s1 = bxor(ror(e, 6), ror(e, 11), ror(e, 25))
      local one = tobit(h + s1 + bxor(band(e, f), band(bnot(e), g)) + K[i] + w[i])
      local s0 = bxor(ror(a, 2), ror(a, 13), ror(a, 22))
      local two = tobit(s0 + bxor(band(a, b), band(a, c), band(b, c)))
      h, g, f, e, d, c, b, a = g, f, e, tobit(d + one), c, b, a, tobit(one + two)
    end
    h1, h2, h3, h4 = tobit(h1 + a), tobit(h2 + b), tobit(h3 + c), tobit(h4 + d)
    h5, h6, h7, h8 = tobit(h5 + e), tobit(h6 + f), tobit(h7 + g), tobit(h8 + h)
  end
  return tohex(h1) .. tohex(h2) .. tohex(h3) .. tohex(h4) .. tohex(h5) .. tohex(h6) .. tohex(h7) .. tohex(h8)
end

local CHALLENGE = 'Bearer realm="fairlead"'
local INVALID = CHALLENGE .. ', error="invalid_token"'
local LONGEST = 512 -- bytes of a key; a longer one is not hashed
local MOST = 1000 -- keys whose hash is remembered

-- A client sends its key with every request, and hashing takes longer than everything else here. Only keys of clients
-- are remembered, so guesses cannot fill the memory.
local hashes, remembered = {}, 0

local function client_with(key, host)
  local hash = hashes[key]
  if hash then return host:get(hash) end
  if #key > LONGEST then return nil end
  hash = "sha256:" .. sha256(key)
  local client = host:get(hash)
  if client then
    if remembered == MOST then hashes, remembered = {}, 0 end
    hashes[key], remembered = hash, remembered + 1
  end
  return client
end

local function deny(handle, status, code, detail, challenge)
  handle:streamInfo():dynamicMetadata():set("fairlead.access", "code", code)
  local headers = { [":status"] = status }
  if challenge then headers["www-authenticate"] = challenge end
  handle:respond(headers, detail)
end

local function has(value, wanted, words)
  if type(value) == "table" then
    for _, one in ipairs(value) do
      if one == wanted then return true end
    end
    return false
  end
  if value == wanted then return true end
  if not words or type(value) ~= "string" then return false end
  for word in value:gmatch("%S+") do
    if word == wanted then return true end
  end
  return false
end

local function client_of(payload, clients)
  for _, one in ipairs(clients or {}) do
    local fits = true
    for claim, wanted in pairs(one.claims) do
      fits = fits and has(payload[claim], wanted, claim == "scope" or claim == "scp")
    end
    if fits then return one.client end
  end
end

-- The name of the client; or nil, and the arguments of deny.
local function identify(handle, headers, host)
  local key, authorization = headers:get("x-api-key"), headers:get("authorization")
  local joined = authorization and authorization:find(",", 1, true) -- as Envoy joins several lines of this header
  if headers:getNumValues("x-api-key") > 1 or (key and authorization) or joined then
    return nil, "401", "several-credentials", "the request has several credentials; send one, once", CHALLENGE
  end
  if not key then
    key = authorization and authorization:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+)$")
    local verified = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn")
    if verified and verified.token then
      local client = client_of(verified.token, host:get("claims"))
      if client then return client end
      return nil, "403", "unknown-token", "the token is valid, and its claims are those of no client"
    end
    if key and verified and verified.failure and key:match("^[^.]+%.[^.]*%.[^.]*$") then
      local why = verified.failure.message or "it cannot be verified"
      return nil, "401", "invalid-token", "the token is not accepted: " .. why, INVALID
    end
  end
  if not key then
    local how = "send a key in the header x-api-key, or a key or token as authorization: Bearer"
    return nil, "401", "no-credential", "the request does not say who sends it; " .. how, CHALLENGE
  end
  local client = client_with(key, host)
  if client then return client end
  return nil, "401", "unknown-key", "this key belongs to no client; it may have been replaced", INVALID
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local host = handle:virtualHost():metadata()
  local known = handle:streamInfo():dynamicMetadata()
  -- Envoy turns a filter off by the route that a request has at first, and a call of gRPC gets its own only in grpc.lua.
  local call = known:get("fairlead.grpc")
  if call and call.own then return end -- the gateway answers it, as the same question over HTTP
  local name, status, code, detail, challenge = identify(handle, headers, host)
  -- No credential reaches a model.
  headers:remove("x-api-key")
  headers:remove("authorization")
  headers:remove("x-fairlead-models")
  if not name then
    known:set("fairlead.access", "client", "unknown")
    return deny(handle, status, code, detail, challenge)
  end
  known:set("fairlead.access", "client", name)
  local client = host:get("client:" .. name)
  local model = handle:metadata():get("model")
  if client.models then
    if not model then
      headers:add("x-fairlead-models", table.concat(client.models, ","))
    elseif not has(client.models, model) then
      return deny(handle, "403", "other-model", "client " .. name .. " may not call model " .. model)
    end
  end
  if client.cost then
    known:set("fairlead.access", "limited", name)
    known:set("fairlead.access", "cost", client.cost)
    known:set("fairlead.access", "retry", client.retry)
    if model then known:set("fairlead.access", "model", model) end
  end
end
