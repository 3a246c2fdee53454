"""Model folders as images, archives and volumes of a test cluster, and how long pods take to start from them."""
