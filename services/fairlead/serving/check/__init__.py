"""`fairlead check`: checks a model folder for everything that the service needs, before it is shipped.

The checks call the same functions as the service does at startup and when it answers, so a folder that passes can be
served. They run the model's own code, as the service does. What they cannot prove they say, as a warning.

`own_process` runs them in a process of their own (`__main__`) and imports none of the service.
"""
