-- A call of gRPC for a cold version waits until the control plane says that an instance is ready, as requests over HTTP
-- do. The filter for these is chosen before a call has the path of its model, so calls have this one.
-- routing/envoy/holding.py puts the facts in front.
function envoy_on_request(handle)
  if not handle:metadata():get("held") then return end
  local headers = handle:headers()
  local asked = {
    [":method"] = headers:get(":method"),
    [":path"] = HOLD_PATH .. headers:get(":path"),
    [":authority"] = headers:get(":authority"),
    [VERSION_HEADER] = headers:get(VERSION_HEADER),
  }
  local answer, sentence = handle:httpCall(CLUSTER, asked, "", LIMIT_MS)
  local status = answer[":status"]
  if status == "200" then return end
  handle:streamInfo():dynamicMetadata():set("fairlead.grpc", "kind", "cold")
  handle:respond({ [":status"] = "503", ["retry-after"] = RETRY_AFTER }, status == "403" and sentence or TOO_MANY)
end
