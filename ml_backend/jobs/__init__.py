"""Background work: RQ jobs on Redis. The only place where Label Studio and the scores meet."""
