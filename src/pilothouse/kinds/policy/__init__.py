"""The group `policy`: how much disturbance an application bears."""
