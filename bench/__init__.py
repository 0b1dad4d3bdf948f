"""`make bench`: how long ours takes beside a peer, both in one run. A figure is a module in `figures/`."""
