"""Reads, checks and writes model folders. Each artifact format is one module that implements `base.Format`.

No other part of the service reads or writes the model folder. There is no HTTP here, no metrics and no threads.
`folder.load_folder` returns a frozen `folder.ModelFolder`; its `start()` returns a loaded `fairlead.Model`.
"""
