"""From typed rows to typed answers: contract, queue, batches, threads. Knows no HTTP: no status, header or path."""
