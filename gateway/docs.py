"""The documentation page: Swagger UI's files from their package, served from here, and a plain list where scripts do not run.

The page loads nothing from elsewhere, and its content security policy forbids that it could.
"""

from collections.abc import Iterable
from html import escape
from importlib.util import find_spec
from pathlib import Path

from gateway.call import Answer
from gateway.route import Route

PACKAGE = "flask_swagger_ui"
"""Carries Swagger UI 5, which reads OpenAPI 3.1. Only its files are used: the package is found, never imported."""
FILES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
START = b"""\
window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null, tryItOutEnabled: true, defaultModelsExpandDepth: 0,
  });
});
"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
)
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Cerebro API</title>
{head}
</head>
<body>
<div id="page">
<h1>Cerebro API</h1>
<p>The same for machines: <a href="/openapi.json">OpenAPI 3.1</a>, <a href="/asyncapi.json">AsyncAPI 3.0</a> (the bus).</p>
<table>
{rows}
</table>
</div>
</body>
</html>
"""
HEAD = """\
<link rel="icon" href="/docs/favicon-32x32.png"><link rel="stylesheet" href="/docs/swagger-ui.css">
<script src="/docs/swagger-ui-bundle.js" defer></script><script src="/docs/start.js" defer></script>"""
CACHE = {"cache-control": "max-age=3600"}


def pages(routes: Iterable[Route]) -> dict[str, Answer]:
    """The page and its files, by their path. Without the package the page is the plain list alone."""
    folder = _folder()
    rows = "\n".join(
        f"<tr><td><code>{r.method}</code></td><td><code>{escape(r.path)}</code></td><td>{escape(r.summary)}. {escape(r.doc)}</td></tr>"
        for r in routes
    )
    page = PAGE.format(head=HEAD if folder else "", rows=rows).encode()
    found = {"docs": Answer(content=page, media="text/html; charset=utf-8", headers={"content-security-policy": POLICY})}
    if folder:
        found["docs/start.js"] = Answer(content=START, media="text/javascript; charset=utf-8", headers=CACHE)
        for name, media in FILES.items():
            found[f"docs/{name}"] = Answer(content=(folder / name).read_bytes(), media=media, headers=CACHE)
    return found


def _folder() -> Path | None:
    spec = find_spec(PACKAGE)
    places = [Path(place) / "dist" for place in (spec.submodule_search_locations or ())] if spec else []
    return next((place for place in places if all((place / name).is_file() for name in FILES)), None)
