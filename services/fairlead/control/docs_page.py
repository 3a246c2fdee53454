"""The page that describes the control plane's API: made from its OpenAPI document, without scripts or other files.

FastAPI's own page loads Swagger UI from the internet, which a cluster may not reach, and which nobody here has checked.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any

HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ font: 16px/1.5 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }}
td {{ padding: .3em 1em .3em 0; vertical-align: top }}</style>
</head>
<body>
<h1>{title} {version}</h1>
<table>
{rows}
</table>
<p>The schemas are in the <a href="openapi.json">OpenAPI document</a>.</p>
</body>
</html>
"""


def page(document: Mapping[str, Any]) -> str:
    """The page as HTML: a line for every operation, with its parameters."""
    info = {name: html.escape(document["info"][name]) for name in ("title", "version")}
    return _PAGE.format(**info, rows="\n".join(_rows(document["paths"])))


def _rows(paths: Mapping[str, Any]) -> Iterator[str]:
    for path, operations in paths.items():
        for method, operation in operations.items():
            parameters = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
            asked = f"?{'&'.join(f'{name}=' for name in parameters)}" if parameters else ""
            text = operation.get("description") or operation.get("summary", "")
            cells = (f"<code>{method.upper()} {html.escape(path + asked)}</code>", html.escape(text))
            yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
