"""Inputs that are files: reads what a client sends as bytes into what a model computes with.

An input reads a request and a format reads an artifact; neither knows the other. `formats.networks` joins the two.
"""
