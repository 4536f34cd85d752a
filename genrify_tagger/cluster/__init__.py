"""Analyse on other machines: Dask workers that see the same files; only this process writes tags.

`ClusterWorkers` takes the place of `workers.Workers` in a session, so that a scan with a cluster is the same scan.
"""

from genrify_tagger.cluster.cluster_workers import LOCAL, ClusterWorkers

__all__ = ["LOCAL", "ClusterWorkers"]
