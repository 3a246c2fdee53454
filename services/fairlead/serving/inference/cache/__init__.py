"""The response cache: answers to requests that were asked before. It knows rows and answers, and no protocol.

`keys` makes the key of a request, `store` keeps answers, `front` stands in front of the batcher, and `verdict` decides
at the start whether the model may have a cache.
"""
