"""The model service: one model version behind HTTP. A request goes down: app, http, inference, observe, formats."""
