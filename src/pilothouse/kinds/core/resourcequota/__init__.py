"""ResourceQuota: how much a namespace may hold in all."""
