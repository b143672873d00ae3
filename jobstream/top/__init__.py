"""`jobstream top`: the overview of the HTTP service in a terminal, live, with keys to look closer."""
