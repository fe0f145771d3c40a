"""HorizontalPodAutoscaler (autoscaling/v2): rules in `kind`, the decision in `decide`, the loop in `controller`."""
