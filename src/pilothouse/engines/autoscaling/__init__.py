"""HorizontalPodAutoscaler arithmetic, after kube-controller-manager 1.36: replicas from metrics, limits from behaviour.

Pure: values in, values out. Called by `kinds/autoscaling/horizontalpodautoscaler` and by reports that ask "what if".
"""
