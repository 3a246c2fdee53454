"""The console: web pages about what the API reads, kept up to date while they are open. It changes nothing.

`reading` reads the store. `fleet`, `route` and `timeline` say what is shown, and decide nothing (pure). `fragments`
makes HTML of it, `live` sends what has changed, and `pages` is the application.
"""
