"""Model folders: reading them, checking them, writing them; one file per artifact format behind one Protocol.

The only part of the service that touches the model folder on disk. No HTTP here, no metrics, no threads: what is
handed up is a frozen `folder.Loaded`, whose `start()` gives a `fairlead.Model` that is ready to be called.
"""
