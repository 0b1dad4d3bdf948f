"""History of datasets: what a dataset was, who changed it, and its bytes as they were."""
