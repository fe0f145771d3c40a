"""AlertNotificationTarget of OpenSLO: whom an alert policy tells."""
