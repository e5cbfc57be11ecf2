"""Redis, as web server and workers share it: queues, locks, clocks, signs of life."""
