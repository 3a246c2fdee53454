"""The model service: serves one model version over HTTP. Layers, top down: app, http, inference, observe, formats."""
