"""Where things run: the machine, tasks on dask workers, workers across nodes, and how far they are."""
