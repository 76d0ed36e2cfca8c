"""What the samples of a process tell beside the time of a step."""

import numpy as np


def compute_time(samples):
    """Wall seconds from a batch to the end of the step, shape (n,); None where phases were not told apart."""
    if "collate" not in samples.phases:
        return None
    return samples.wall - samples.phases["collate"]


def tail(samples):
    """The 95th percentile of the times of one batch over their median, the mean over batches."""
    shares = []
    for batch in np.unique(samples.batch):
        seconds = samples.seconds[samples.batch == batch]
        shares.append(np.quantile(seconds, 0.95) / np.median(seconds))
    return float(np.mean(shares))
