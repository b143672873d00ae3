"""What is wrong with a cluster, and what to do about it, in sentences; and all that is known of one job."""
