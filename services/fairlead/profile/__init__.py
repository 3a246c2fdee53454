"""The mathematics of drift: bins of reference data, counts of rows in them, and statistics of two sets of counts.

Pure: numpy and the profile's document, no I/O. Counts of several instances, files or windows are merged by addition.
Services count with it, `fairlead profile` builds with it, and proofs compare Prometheus' rules with it.
"""
