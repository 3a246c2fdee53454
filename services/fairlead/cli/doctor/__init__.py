"""What is missing or misconfigured, in a cluster or on this machine. It changes nothing.

Each check reads with the user's own rights and gives findings: what is so, why it matters, and what to do. A check that
may not read what it needs is never `ok`: it says what right it lacks. Each fault has one line, that of its cause: a
check leaves out what follows from what another check reports.
"""
