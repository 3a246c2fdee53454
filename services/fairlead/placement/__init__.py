"""Why a pod waits for a node: what it asks for, compared with what the nodes of the cluster are.

Pure: it gets the objects of the API server as plain data and returns sentences. It knows the rules of the scheduler
about labels, taints and resources, and no others: where those three allow a node, it says so and names the nodes.
"""
