"""`fairlead replay`: sends the requests of a recording again, and compares the answers (docs/recording.md).

`targets` has the only sockets. What compares answers is that of `optimization`: rows of both are compared in the same
way, whoever asks.
"""
