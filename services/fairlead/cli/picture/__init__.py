"""An attempt's evidence as a picture: what is drawn (`attempt`), for a terminal, and for a page (`svg`). Pure."""
