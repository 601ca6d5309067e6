"""The package behind tasks.py: settings, manifests, stages and the clusters that they run on."""
