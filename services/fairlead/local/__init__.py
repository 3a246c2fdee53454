"""`fairlead up`: the platform on one machine, as a supervisor of child processes.

The supervisor turns rows into processes and processes into rows; it decides nothing about traffic. Control plane,
gateway and model services are its children: any of them may be killed, and is started again as it was.
"""
