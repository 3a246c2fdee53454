"""Pictures of an attempt's evidence: the data (`attempt`), and drawing it for a terminal or as SVG. Pure."""
