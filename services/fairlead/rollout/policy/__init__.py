"""What should happen next, as pure functions: a head, a spec, an observation and actions in; a decision out.

No I/O, no clock and no memory here. What is decided is written by `act` and read again as the next head.
"""
