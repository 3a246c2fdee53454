"""The console: web pages about what the API reads, kept up to date while they are open.

`reading` reads the store. `fleet`, `route`, `timeline` and `acts` say what is shown, and decide nothing (pure).
`fragments` makes HTML of it, `live` and `stream` send what has changed, and `pages` is the application. Only `acting`
changes something: it asks the engine in the name of somebody who signed in (`sessions`). `trial` sends a row.
"""
