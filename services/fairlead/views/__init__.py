"""What people are told, in words and drawings, made from documents. The command line and the console share it.

Pure: it knows no terminal, no HTML and no store, and it decides nothing.
"""
