"""A Kubernetes API on loopback that the real kubectl works with: stateful, strict, and able to go wrong on request.

    cluster = Cluster(State(), "demo", folder)
    cluster.kubeconfig(folder / "kubeconfig")
    cluster.fail("train-.*", "OOMKilled", log="…")    # what the workloads of that name meet from now on
    cluster.on_tfjob(lambda tfjob: …)                 # what a training leaves behind, just before it succeeds
    cluster.backends["kubeflow", "web-ui", 80] = 5000 # where a port-forward or the API's proxy really leads
    cluster.state.fault("PATCH .*/deployments/", status=500)

Time is counted in reads: every GET moves what is under way on by one step, a watch does so twenty times a second.
Nothing sleeps, and the same requests lead to the same states. What it does not know it answers with 501 and notes in
`state.unknown`; a test ends by showing that this is empty.

Where things are: `api` verbs, `writing` and `patches` changes, `watching` watches, `removal` deletions, `about`
discovery, `kinds` the table of resources, `controllers` with `workloads`, `tfjobs` and `networks` what becomes of
objects, `outcomes` what can go wrong, `front` with `forward` and `spdy` connections.
"""

from fakes.kubernetes.cluster import Cluster

__all__ = ["Cluster"]
