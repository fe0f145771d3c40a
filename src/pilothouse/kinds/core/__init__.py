"""The core group: namespaces, nodes, pods, services, configuration and events."""
