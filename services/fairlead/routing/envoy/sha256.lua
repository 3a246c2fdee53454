-- sha256(text): 64 hex digits. It is put before the programs that compare hashes of keys (routing/envoy/access.py).
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
