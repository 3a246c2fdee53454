"""`fairlead up`: the platform on one machine, as child processes of a supervisor.

The supervisor starts a process for each row of wanted instances and reports its state as another row. It does not
decide about traffic. Control plane, gateway and model services are its children; it restarts any that ends.
"""
