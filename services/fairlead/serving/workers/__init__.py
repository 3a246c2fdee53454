"""Serves one model folder with several processes: gunicorn starts workers, each of which is a model service.

The master loads no model. It opens the port, makes the memory that the workers share, and replaces those that end.
"""
