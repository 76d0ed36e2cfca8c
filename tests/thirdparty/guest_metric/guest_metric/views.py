"""The code of the metrics. It reads the samples of one process."""

import numpy as np


def compute_time(samples):
    """Wall seconds of each step without collating its batch, shape (n,); None if phases were not measured."""
    if "collate" not in samples.phases:
        return None
    return samples.wall - samples.phases["collate"]


def tail(samples):
    """The 95th percentile of the times of a batch divided by their median, averaged over batches."""
    shares = []
    for batch in np.unique(samples.batch):
        seconds = samples.seconds[samples.batch == batch]
        shares.append(np.quantile(seconds, 0.95) / np.median(seconds))
    return float(np.mean(shares))
